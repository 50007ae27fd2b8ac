#include "ops/cpu/decode_attention.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstddef>

#include "ops/cpu/paged_rows.h"

namespace tigerbot::cpu {
namespace {

constexpr double kLog2E = 1.4426950408889634;

/// Query rows of a tile: enough that packing the keys costs little beside the products.
constexpr std::int64_t kRowsPerTile = 96;

}  // namespace

StepAttention::StepAttention(const Sequences& sequences, const BlockTables& tables,
                             std::int64_t sliding_window,
                             const std::optional<std::vector<std::int64_t>>& rows,
                             const StepAttentionShape& shape, int threads)
    : shape_(shape),
      group_(shape.heads / shape.kv_heads),
      sliding_window_(sliding_window),
      threads_(threads),
      kernels_(&attention_kernels(shape.bfloat16)),
      blocks_(tables.blocks),
      context_lengths_(tables.context_lengths) {
  std::size_t next_row = 0;
  for (std::int64_t s = 0; s < sequences.count(); ++s) {
    const std::int64_t length = sequences.length(s);
    const std::int64_t start = context_lengths_[static_cast<std::size_t>(s)] - length;
    const std::int64_t first = sequences.cu_seqlens[static_cast<std::size_t>(s)];
    if (!rows) {
      add_tiles(s, first, length, start);
      continue;
    }
    for (; next_row < rows->size() && (*rows)[next_row] < first + length; ++next_row) {
      add_tiles(s, static_cast<std::int64_t>(next_row), 1, start + (*rows)[next_row] - first);
    }
  }

  std::int64_t most_splits = 0;
  std::int64_t most_rows = 0;
  for (const Tile& tile : tiles_) {
    most_splits = std::max(most_splits, tile.end_split - tile.first_split);
    most_rows = std::max(most_rows, tile.tokens * group_);
  }
  share_splits_ = most_splits > 1 && static_cast<int>(tiles_.size()) < 4 * threads && threads > 1;
  for (std::size_t t = 0; t < tiles_.size(); ++t) {
    first_item_.push_back(items_.size());
    if (!share_splits_) {
      items_.push_back({t, tiles_[t].first_split, tiles_[t].end_split});
      continue;
    }
    for (std::int64_t split = tiles_[t].first_split; split < tiles_[t].end_split; ++split) {
      items_.push_back({t, split, split + 1});
    }
  }
  // The longest first, so that no thread starts one when the others are done.
  if (!share_splits_) {
    std::stable_sort(items_.begin(), items_.end(), [&](const Item& a, const Item& b) {
      return tiles_[a.tile].first_position > tiles_[b.tile].first_position;
    });
  }
  const int head_dim = static_cast<int>(shape_.head_dim);
  state_size_ = kernels_->state_size(static_cast<int>(most_rows), head_dim);
  scratch_size_ = kernels_->forward_scratch(static_cast<int>(most_rows), head_dim);
  const auto round_up = [](std::int64_t n) { return (n + 15) / 16 * 16; };
  state_size_ = round_up(state_size_);
  scratch_size_ = round_up(scratch_size_);
  const std::int64_t states =
      share_splits_ ? static_cast<std::int64_t>(items_.size()) : std::int64_t{2} * threads;
  memory_ = at::empty({threads * scratch_size_ + states * state_size_ + 16}, at::kFloat);
}

void StepAttention::add_tiles(std::int64_t sequence, std::int64_t row, std::int64_t tokens,
                              std::int64_t first_position) {
  const std::int64_t tile_tokens = std::max<std::int64_t>(1, kRowsPerTile / group_);
  for (std::int64_t kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
    for (std::int64_t t = 0; t < tokens; t += tile_tokens) {
      const std::int64_t count = std::min(tile_tokens, tokens - t);
      const std::int64_t position = first_position + t;
      const std::int64_t first_key =
          sliding_window_ > 0 ? std::max<std::int64_t>(0, position + 1 - sliding_window_) : 0;
      const std::int64_t end_key = position + count;
      tiles_.push_back({sequence, kv_head, row + t, count, position, first_key / kKeysPerSplit,
                        (end_key + kKeysPerSplit - 1) / kKeysPerSplit});
    }
  }
}

AttentionTile StepAttention::kernel_tile(const Tile& tile, const StepRows& queries,
                                         const PagedKeyValues& cache) const {
  const std::int64_t size = shape_.bfloat16 ? 2 : 4;
  const std::int32_t* blocks =
      blocks_.const_data_ptr<std::int32_t>() + tile.sequence * blocks_.stride(0);
  AttentionTile result;
  result.query_token_stride = queries.token_stride;
  result.query_head_stride = shape_.head_dim;
  result.queries =
      static_cast<const std::byte*>(queries.base) +
      (tile.row * queries.token_stride + tile.kv_head * group_ * shape_.head_dim) * size;
  result.tokens = static_cast<int>(tile.tokens);
  result.group = static_cast<int>(group_);
  result.head_dim = static_cast<int>(shape_.head_dim);
  result.first_position = tile.first_position;
  result.key_count = context_lengths_[static_cast<std::size_t>(tile.sequence)];
  result.keys = at_head(paged_rows(cache.keys, cache.key_scales, blocks), tile.kv_head,
                        cache.keys.stride(1), size);
  result.values = at_head(paged_rows(cache.values, cache.value_scales, blocks), tile.kv_head,
                          cache.values.stride(1), size);
  result.rule = {true, sliding_window_, static_cast<float>(shape_.scale * kLog2E)};
  return result;
}

void StepAttention::finish(const Tile& tile, const AttentionTile& kernel_tile, const float* state,
                           const StepRows& output) const {
  const std::int64_t size = shape_.bfloat16 ? 2 : 4;
  auto* out = static_cast<std::byte*>(output.base) +
              (tile.row * output.token_stride + tile.kv_head * group_ * shape_.head_dim) * size;
  kernels_->finish(kernel_tile, state, out, output.token_stride, shape_.head_dim, nullptr, 0);
}

void StepAttention::run(CrewMember& member, const StepRows& queries, const StepRows& output,
                        const PagedKeyValues& cache) const {
  const int head_dim = static_cast<int>(shape_.head_dim);
  auto* memory = reinterpret_cast<float*>(
      (reinterpret_cast<std::uintptr_t>(memory_.data_ptr<float>()) + 63) / 64 * 64);
  float* scratch = memory + member.index() * scratch_size_;
  float* states = memory + threads_ * scratch_size_;
  member.phase(static_cast<std::int64_t>(items_.size()), [&](std::int64_t i) {
    const Item& item = items_[static_cast<std::size_t>(i)];
    const Tile& tile = tiles_[item.tile];
    const AttentionTile kernel = kernel_tile(tile, queries, cache);
    float* total = states + (share_splits_ ? i : 2 * member.index()) * state_size_;
    kernels_->forward(kernel, item.first_split, total, scratch);
    for (std::int64_t split = item.first_split + 1; split < item.end_split; ++split) {
      float* next = total + state_size_;
      kernels_->forward(kernel, split, next, scratch);
      kernels_->fold(kernel.rows(), head_dim, total, next);
    }
    if (!share_splits_) finish(tile, kernel, total, output);
  });
  if (!share_splits_) return;
  member.phase(static_cast<std::int64_t>(tiles_.size()), [&](std::int64_t t) {
    const Tile& tile = tiles_[static_cast<std::size_t>(t)];
    const AttentionTile kernel = kernel_tile(tile, queries, cache);
    float* total =
        states + static_cast<std::int64_t>(first_item_[static_cast<std::size_t>(t)]) * state_size_;
    for (std::int64_t s = 1; s < tile.end_split - tile.first_split; ++s) {
      kernels_->fold(kernel.rows(), head_dim, total, total + s * state_size_);
    }
    finish(tile, kernel, total, output);
  });
}

}  // namespace tigerbot::cpu
