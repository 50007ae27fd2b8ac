#pragma once

#include <cstdint>

/// The inner loops of attention, one table of them for each instruction set. attention.cpp in this
/// folder decides which tile runs where; these compute one.
///
/// Every sum has an order that depends on absolute key positions alone: keys come in blocks of
/// kKeyBlock from position 0, and the softmax of each kKeysPerSplit keys is computed by itself and
/// then folded into the total. So the bits of a row do not depend on the tile it is in, on what
/// else is computed, on how a prompt was cut into chunks, or on the number of threads.
namespace tigerbot::cpu {

/// Keys that one softmax step takes together.
inline constexpr int kKeyBlock = 128;
/// Keys whose partial softmax stands by itself: the unit that threads share a long context by.
inline constexpr int kKeysPerSplit = 512;
/// Queries that the backward pass takes together: the lanes of its products.
inline constexpr int kQueryTile = 64;

/// Rows of keys or values of one head: contiguous ones, or those of a paged cache's blocks.
struct RowSource {
  const void* base = nullptr;
  std::int64_t row_stride = 0;  ///< in elements
  const std::int32_t* blocks = nullptr;
  std::int64_t block_size = 0;
  std::int64_t block_stride = 0;  ///< in elements
  /// Of a quantized cache, whose rows are int8: those of the head in block 0. Null: rows are of the
  /// storage type.
  const float* scales = nullptr;
  std::int64_t scale_block_stride = 0;
};

/// How scores are made and which are seen.
struct ScoreRule {
  bool causal = true;
  std::int64_t sliding_window = 0;  ///< 0: no limit
  float scale_log2 = 0;             ///< scale * log2(e): scores are in powers of two
};

/// The queries of `tokens` consecutive tokens and the `group` heads that share a key/value head.
/// Row r of the tile is token r / group, head r % group.
struct AttentionTile {
  const void* queries = nullptr;  ///< token 0, head 0 of the tile
  std::int64_t query_token_stride = 0;
  std::int64_t query_head_stride = 0;
  int tokens = 0;
  int group = 0;
  int head_dim = 0;
  std::int64_t first_position = 0;  ///< position of token 0 among the keys
  std::int64_t key_count = 0;
  RowSource keys;
  RowSource values;
  ScoreRule rule;
  const float* slopes_log2 = nullptr;  ///< [group], ALiBi slope * log2(e); null: no bias

  int rows() const { return tokens * group; }
};

/// One key/value head's share of the backward pass: the queries [query_begin, query_end) of every
/// head of its group against the keys that they see. Query-side pointers are at token query_begin
/// and the group's first head.
struct BackwardTask {
  struct Heads {
    const void* base = nullptr;
    std::int64_t token_stride = 0;
    std::int64_t head_stride = 0;
  };
  Heads queries;
  Heads output;
  Heads output_gradient;
  const float* logsumexp = nullptr;   ///< in powers of two, from the forward pass
  std::int64_t logsumexp_stride = 0;  ///< between heads
  RowSource keys;
  RowSource values;
  int group = 0;
  int head_dim = 0;
  std::int64_t query_begin = 0;
  std::int64_t query_end = 0;
  std::int64_t key_begin = 0;  ///< a multiple of kKeyBlock
  std::int64_t key_end = 0;
  std::int64_t key_count = 0;  ///< of the whole sequence
  ScoreRule rule;
  float scale = 0;
  const float* slopes_log2 = nullptr;
  void* query_gradient = nullptr;
  std::int64_t query_gradient_token_stride = 0;
  std::int64_t query_gradient_head_stride = 0;
  /// float32 [key_end - key_begin][padded_dim]: set to this task's part of the sums over queries;
  /// that of the keys still lacks the factor `scale`.
  float* key_gradient = nullptr;
  float* value_gradient = nullptr;
};

struct AttentionKernels {
  /// Row length of float accumulators: head_dim rounded up to whole vectors.
  std::int64_t (*padded_dim)(int head_dim);
  /// Floats of scratch memory (64-byte aligned) that forward needs.
  std::int64_t (*forward_scratch)(int rows, int head_dim);
  /// Floats of a softmax state of that many rows: maxima, sums and unnormalized outputs.
  std::int64_t (*state_size)(int rows, int head_dim);
  /// The state of the tile's rows over the keys of one split.
  void (*forward)(const AttentionTile& tile, std::int64_t split, float* state, float* scratch);
  /// total = total and next together.
  void (*fold)(int rows, int head_dim, float* total, const float* next);
  /// The normalized outputs of a state; and, unless null, log2 of the sums of 2^score in
  /// logsumexp[head * stride + token].
  void (*finish)(const AttentionTile& tile, const float* state, void* output,
                 std::int64_t token_stride, std::int64_t head_stride, float* logsumexp,
                 std::int64_t logsumexp_stride);
  std::int64_t (*backward_scratch)(std::int64_t queries, int group, int head_dim);
  void (*backward)(const BackwardTask& task, float* scratch);
  /// output[0..head_dim) = scale * sum of `count` rows, in storage type.
  void (*sum_rows)(const float* const* rows, int count, int head_dim, float scale, void* output);
  /// The integers of a row in storage type, as store_key_values says; gives their scale.
  float (*quantize)(const void* row, int head_dim, std::int8_t* integers);
};

/// The best kernels that this machine (and any limit on it) allows, for bfloat16 or float32
/// storage.
const AttentionKernels& attention_kernels(bool bfloat16);

// One table for each instruction set and storage type; null where the compiler cannot make it.
extern const AttentionKernels kAttentionScalarBf16;
extern const AttentionKernels kAttentionScalarF32;
#if defined(__x86_64__)
extern const AttentionKernels kAttentionAvx2Bf16;
extern const AttentionKernels kAttentionAvx2F32;
extern const AttentionKernels kAttentionAvx512Bf16Storage;
extern const AttentionKernels kAttentionAvx512F32;
extern const AttentionKernels kAttentionAvx512DotBf16;
#endif

}  // namespace tigerbot::cpu
