#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace tigerbot {

/// The ragged structure of a run of tokens. Activations are [tokens, features]: the tokens of all
/// sequences stand one after another, with no batch dimension and no padding. Grouped fine-tuning,
/// packed pretraining, continuous batching and chunked prefill are this one structure.
struct Sequences {
  /// First row of each sequence, then the total: n + 1 offsets for n sequences.
  std::vector<std::int32_t> cu_seqlens;
  /// Position of each token within its own sequence, int32 [tokens], on the activations' device.
  at::Tensor positions;

  std::int64_t count() const { return static_cast<std::int64_t>(cu_seqlens.size()) - 1; }
  std::int64_t tokens() const { return cu_seqlens.back(); }
  std::int64_t length(std::int64_t i) const { return cu_seqlens[i + 1] - cu_seqlens[i]; }
};

/// Whole sequences of these lengths; positions start at 0 in each.
Sequences make_sequences(const std::vector<std::int64_t>& lengths, at::Device device = at::kCPU);

/// Sequences that go on from what a cache already holds: sequence i has `lengths[i]` new tokens
/// whose positions start at `starts[i]`.
Sequences make_sequences(const std::vector<std::int64_t>& lengths,
                         const std::vector<std::int64_t>& starts, at::Device device = at::kCPU);

/// Where each sequence's keys and values lie in the blocks of a paged cache.
struct BlockTables {
  /// int32 [n, max_blocks]: the blocks of sequence i in order; entries past its end are unused.
  at::Tensor blocks;
  /// Tokens of sequence i in the cache once this step's tokens are stored (old and new).
  std::vector<std::int32_t> context_lengths;
};

/// One layer's part of a paged key/value cache, both [num_blocks, num_key_value_heads, block_size,
/// head_dim]: the tokens of a block and head are contiguous. In the type of the activations; or
/// quantized to int8 with a scale for each token and head: a row is scale * its integers.
struct PagedKeyValues {
  at::Tensor keys;
  at::Tensor values;
  /// float32 [num_blocks, num_key_value_heads, block_size], contiguous; undefined unless quantized.
  at::Tensor key_scales{};
  at::Tensor value_scales{};

  bool quantized() const { return key_scales.defined(); }
  std::int64_t block_size() const { return keys.size(2); }
};

}  // namespace tigerbot
