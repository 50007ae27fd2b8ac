#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/decode_crew.h"
#include "ops/sequences.h"

/// Paged causal attention as phases of a crew: the tiles and splits of paged_attention, run by
/// threads that are there already.
namespace tigerbot::cpu {

struct StepAttentionShape {
  std::int64_t heads, kv_heads, head_dim;
  double scale;
  bool bfloat16;
};

/// Queries and outputs of a layer: token t, head h at base + t * token_stride + h * head_dim.
struct StepRows {
  void* base;
  std::int64_t token_stride;  ///< in elements
};

/// Which tile runs where, the same for all layers with the same window.
class StepAttention {
 public:
  /// `rows`: which tokens of the step have queries, in order (not given: all). Row i of the queries
  /// and of the output is token rows[i].
  StepAttention(const Sequences& sequences, const BlockTables& tables, std::int64_t sliding_window,
                const std::optional<std::vector<std::int64_t>>& rows,
                const StepAttentionShape& shape, int threads);

  /// At most two phases.
  void run(CrewMember& member, const StepRows& queries, const StepRows& output,
           const PagedKeyValues& cache) const;

 private:
  struct Tile {
    std::int64_t sequence, kv_head;
    std::int64_t row, tokens;
    std::int64_t first_position;
    std::int64_t first_split, end_split;
  };
  /// Splits [first, end) of one tile: all of them, or one where threads share them.
  struct Item {
    std::size_t tile;
    std::int64_t first_split, end_split;
  };

  void add_tiles(std::int64_t sequence, std::int64_t row, std::int64_t tokens,
                 std::int64_t first_position);
  AttentionTile kernel_tile(const Tile& tile, const StepRows& queries,
                            const PagedKeyValues& cache) const;
  void finish(const Tile& tile, const AttentionTile& kernel_tile, const float* state,
              const StepRows& output) const;

  StepAttentionShape shape_;
  std::int64_t group_;
  std::int64_t sliding_window_;
  std::int64_t threads_;
  const AttentionKernels* kernels_;
  at::Tensor blocks_;
  std::vector<std::int32_t> context_lengths_;
  std::vector<Tile> tiles_;
  std::vector<Item> items_;
  std::vector<std::size_t> first_item_;  ///< of each tile, where splits are shared
  bool share_splits_ = false;
  std::int64_t state_size_ = 0;
  std::int64_t scratch_size_ = 0;
  at::Tensor memory_;  ///< scratch of each thread, then states of items
};

}  // namespace tigerbot::cpu
