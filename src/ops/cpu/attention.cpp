#include "ops/cpu/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "ops/cpu/attention_kernels.h"
#include "ops/cpu/dynamic_parallel.h"
#include "ops/cpu/isa.h"
#include "ops/cpu/paged_rows.h"

namespace tigerbot::cpu {
namespace {

constexpr double kLog2E = 1.4426950408889634;

/// Query rows of a forward tile: enough that packing the keys costs little beside the products.
constexpr std::int64_t kRowsPerTile = 96;

/// Queries of one sequence and where its keys and values lie (those of key/value head 0).
struct SequencePlan {
  std::int64_t first_row = 0;  ///< among the step's tokens
  std::int64_t queries = 0;
  std::int64_t first_position = 0;
  std::int64_t key_count = 0;
  RowSource keys;
  RowSource values;
};

/// What all sequences of a call share.
struct Heads {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t key_head_stride = 0;
  std::int64_t value_head_stride = 0;
  ScoreRule rule;
  float scale = 0;
  std::vector<float> slopes_log2;

  std::int64_t group() const { return heads / kv_heads; }
  const float* slopes(std::int64_t kv_head) const {
    return slopes_log2.empty() ? nullptr : slopes_log2.data() + kv_head * group();
  }
};

Heads make_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                 const ops::AttentionOptions& options) {
  Heads heads;
  heads.heads = q.size(1);
  heads.kv_heads = k.size(1);
  heads.key_head_stride = k.stride(1);
  heads.value_head_stride = v.stride(1);
  const double scale = options.scale.value_or(1.0 / std::sqrt(static_cast<double>(q.size(2))));
  heads.scale = static_cast<float>(scale);
  heads.rule = {options.causal, options.sliding_window, static_cast<float>(scale * kLog2E)};
  if (options.alibi_slopes.defined()) {
    const at::Tensor slopes = options.alibi_slopes.contiguous();
    for (std::int64_t h = 0; h < heads.heads; ++h) {
      heads.slopes_log2.push_back(static_cast<float>(slopes.const_data_ptr<float>()[h] * kLog2E));
    }
  }
  return heads;
}

const std::byte* address(const at::Tensor& x) {
  return static_cast<const std::byte*>(x.const_data_ptr());
}

RowSource rows_of(const at::Tensor& x, std::int64_t first_row) {
  return {address(x) + first_row * x.stride(0) * x.element_size(), x.stride(0)};
}

std::vector<SequencePlan> plan_ragged(const at::Tensor& k, const at::Tensor& v,
                                      const std::vector<std::int32_t>& cu_seqlens) {
  std::vector<SequencePlan> plans;
  for (std::size_t i = 0; i + 1 < cu_seqlens.size(); ++i) {
    const std::int64_t length = cu_seqlens[i + 1] - cu_seqlens[i];
    if (length == 0) continue;
    plans.push_back(
        {cu_seqlens[i], length, 0, length, rows_of(k, cu_seqlens[i]), rows_of(v, cu_seqlens[i])});
  }
  return plans;
}

/// One tile of queries, over all their splits of the keys or over one.
struct ForwardItem {
  std::size_t sequence;
  std::int64_t kv_head;
  std::int64_t first_token;
  std::int64_t tokens;
  std::int64_t first_split;
  std::int64_t end_split;
  std::int64_t cost;
};

/// Splits [first, end) of the keys that a tile sees.
std::pair<std::int64_t, std::int64_t> visible_splits(const ScoreRule& rule,
                                                     const SequencePlan& plan,
                                                     std::int64_t first_token,
                                                     std::int64_t tokens) {
  const std::int64_t first_position = plan.first_position + first_token;
  std::int64_t last = plan.key_count;
  if (rule.causal) last = std::min(last, first_position + tokens);
  std::int64_t first = 0;
  if (rule.sliding_window > 0) {
    first = std::max<std::int64_t>(0, first_position + 1 - rule.sliding_window);
  }
  return {first / kKeysPerSplit, (last + kKeysPerSplit - 1) / kKeysPerSplit};
}

AttentionForward run_forward(const at::Tensor& q, const Heads& heads,
                             const std::vector<SequencePlan>& plans, bool with_logsumexp) {
  const AttentionKernels& kernels = attention_kernels(q.scalar_type() == at::kBFloat16);
  const int head_dim = static_cast<int>(q.size(2));
  const int group = static_cast<int>(heads.group());
  const std::int64_t size = q.element_size();
  const std::int64_t tile_tokens = std::max<std::int64_t>(1, kRowsPerTile / group);
  AttentionForward result;
  result.output = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
  if (with_logsumexp) {
    result.logsumexp = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
  }

  std::vector<ForwardItem> tiles;
  for (std::size_t s = 0; s < plans.size(); ++s) {
    for (std::int64_t kv_head = 0; kv_head < heads.kv_heads; ++kv_head) {
      for (std::int64_t t = 0; t < plans[s].queries; t += tile_tokens) {
        const std::int64_t tokens = std::min(tile_tokens, plans[s].queries - t);
        const auto [first, end] = visible_splits(heads.rule, plans[s], t, tokens);
        tiles.push_back({s, kv_head, t, tokens, first, end, tokens * (end - first)});
      }
    }
  }
  // Few tiles: threads share the splits of each. Either way gives the same bits.
  std::vector<ForwardItem> items;
  std::vector<std::size_t> first_item_of_tile;
  const bool share_splits = static_cast<std::int64_t>(tiles.size()) < 4 * at::get_num_threads() &&
                            at::get_num_threads() > 1;
  if (share_splits) {
    for (const ForwardItem& tile : tiles) {
      first_item_of_tile.push_back(items.size());
      for (std::int64_t split = tile.first_split; split < tile.end_split; ++split) {
        items.push_back(tile);
        items.back().first_split = split;
        items.back().end_split = split + 1;
      }
    }
  } else {
    std::stable_sort(tiles.begin(), tiles.end(),
                     [](const auto& a, const auto& b) { return a.cost > b.cost; });
    items = tiles;
  }

  std::int64_t most_rows = 0;
  for (const ForwardItem& item : items) most_rows = std::max(most_rows, item.tokens * group);
  const std::int64_t state_size = kernels.state_size(static_cast<int>(most_rows), head_dim);
  const std::int64_t scratch_size = kernels.forward_scratch(static_cast<int>(most_rows), head_dim);
  const auto item_count = static_cast<std::int64_t>(items.size());
  const auto float_options = at::TensorOptions().dtype(at::kFloat);
  const std::int64_t a_thread = scratch_size + state_size;
  const at::Tensor scratch = at::empty({item_threads(item_count) * a_thread}, float_options);
  // A state for each split, or two for each thread: the total and the split being added.
  const at::Tensor states = at::empty(
      {(share_splits ? item_count : item_threads(item_count)) * state_size}, float_options);

  const auto make_tile = [&](const ForwardItem& item) {
    const SequencePlan& plan = plans[item.sequence];
    AttentionTile tile;
    tile.query_token_stride = q.stride(0);
    tile.query_head_stride = q.stride(1);
    tile.queries = address(q) + ((plan.first_row + item.first_token) * q.stride(0) +
                                 item.kv_head * group * q.stride(1)) *
                                    size;
    tile.tokens = static_cast<int>(item.tokens);
    tile.group = group;
    tile.head_dim = head_dim;
    tile.first_position = plan.first_position + item.first_token;
    tile.key_count = plan.key_count;
    tile.keys = at_head(plan.keys, item.kv_head, heads.key_head_stride, size);
    tile.values = at_head(plan.values, item.kv_head, heads.value_head_stride, size);
    tile.rule = heads.rule;
    tile.slopes_log2 = heads.slopes(item.kv_head);
    return tile;
  };
  const auto finish = [&](const ForwardItem& item, const AttentionTile& tile, const float* state) {
    const std::int64_t row = plans[item.sequence].first_row + item.first_token;
    const std::int64_t head = item.kv_head * group;
    auto* out = static_cast<std::byte*>(result.output.data_ptr()) +
                (row * result.output.stride(0) + head * result.output.stride(1)) * size;
    float* logsumexp =
        with_logsumexp ? result.logsumexp.data_ptr<float>() + head * q.size(0) + row : nullptr;
    kernels.finish(tile, state, out, result.output.stride(0), result.output.stride(1), logsumexp,
                   q.size(0));
  };

  auto* scratch_base = scratch.data_ptr<float>();
  auto* state_base = states.data_ptr<float>();
  if (share_splits) {
    run_items(item_count, [&](std::int64_t thread, std::int64_t i) {
      kernels.forward(make_tile(items[i]), items[i].first_split, state_base + i * state_size,
                      scratch_base + thread * a_thread);
    });
    run_items(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t, std::int64_t i) {
      const AttentionTile tile = make_tile(tiles[i]);
      float* total = state_base + static_cast<std::int64_t>(first_item_of_tile[i]) * state_size;
      for (std::int64_t s = 1; s < tiles[i].end_split - tiles[i].first_split; ++s) {
        kernels.fold(tile.rows(), head_dim, total, total + s * state_size);
      }
      finish(tiles[i], tile, total);
    });
    return result;
  }
  run_items(item_count, [&](std::int64_t thread, std::int64_t i) {
    const AttentionTile tile = make_tile(items[i]);
    float* total = state_base + thread * state_size;
    float* next = scratch_base + thread * a_thread;
    float* rest = next + state_size;
    kernels.forward(tile, items[i].first_split, total, rest);
    for (std::int64_t split = items[i].first_split + 1; split < items[i].end_split; ++split) {
      kernels.forward(tile, split, next, rest);
      kernels.fold(tile.rows(), head_dim, total, next);
    }
    finish(items[i], tile, total);
  });
  return result;
}

}  // namespace

const AttentionKernels& attention_kernels(bool bfloat16) {
#if defined(__x86_64__)
  switch (best_isa()) {
    case Isa::kAvx512Bf16:
      return bfloat16 ? kAttentionAvx512DotBf16 : kAttentionAvx512F32;
    case Isa::kAvx512:
      return bfloat16 ? kAttentionAvx512Bf16Storage : kAttentionAvx512F32;
    case Isa::kAvx2:
      return bfloat16 ? kAttentionAvx2Bf16 : kAttentionAvx2F32;
    case Isa::kScalar:
      break;
  }
#endif
  return bfloat16 ? kAttentionScalarBf16 : kAttentionScalarF32;
}

AttentionForward attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const std::vector<std::int32_t>& cu_seqlens,
                                   const ops::AttentionOptions& options, bool with_logsumexp) {
  return run_forward(q, make_heads(q, k, v, options), plan_ragged(k, v, cu_seqlens),
                     with_logsumexp);
}

at::Tensor paged_attention(const at::Tensor& q, const PagedKeyValues& cache,
                           const std::vector<std::int32_t>& cu_seqlens, const BlockTables& tables,
                           const ops::AttentionOptions& options) {
  std::vector<SequencePlan> plans;
  for (std::size_t i = 0; i + 1 < cu_seqlens.size(); ++i) {
    const std::int64_t length = cu_seqlens[i + 1] - cu_seqlens[i];
    if (length == 0) continue;
    const std::int64_t context = tables.context_lengths[i];
    const std::int32_t* blocks = tables.blocks.const_data_ptr<std::int32_t>() +
                                 static_cast<std::int64_t>(i) * tables.blocks.stride(0);
    plans.push_back({cu_seqlens[i], length, context - length, context,
                     paged_rows(cache.keys, cache.key_scales, blocks),
                     paged_rows(cache.values, cache.value_scales, blocks)});
  }
  return run_forward(q, make_heads(q, cache.keys, cache.values, options), plans, false).output;
}

AttentionGradients attention_backward(const at::Tensor& output_gradient, const at::Tensor& q,
                                      const at::Tensor& k, const at::Tensor& v,
                                      const AttentionForward& forward,
                                      const std::vector<std::int32_t>& cu_seqlens,
                                      const ops::AttentionOptions& options) {
  const AttentionKernels& kernels = attention_kernels(q.scalar_type() == at::kBFloat16);
  const Heads heads = make_heads(q, k, v, options);
  const std::vector<SequencePlan> plans = plan_ragged(k, v, cu_seqlens);
  const int head_dim = static_cast<int>(q.size(2));
  const std::int64_t group = heads.group();
  const std::int64_t padded = kernels.padded_dim(head_dim);
  const std::int64_t size = q.element_size();
  AttentionGradients gradients{at::empty(q.sizes(), q.options()), at::empty(k.sizes(), k.options()),
                               at::empty(v.sizes(), v.options())};

  // A task takes a range of a sequence's queries, and owns its part of the keys' gradients until
  // the parts are summed in order. How many depends on shapes alone, and so do the bits.
  constexpr std::int64_t kTasksWanted = 16;
  constexpr std::int64_t kLeastQueries = 256;
  struct Task {
    std::size_t sequence;
    std::int64_t kv_head;
    std::int64_t query_begin, query_end;
    std::int64_t key_begin, key_end;
    std::int64_t offset;  ///< of its parts, in floats
    std::int64_t cost() const { return (query_end - query_begin) * (key_end - key_begin); }
  };
  const std::int64_t pairs = static_cast<std::int64_t>(plans.size()) * heads.kv_heads;
  const std::int64_t parts_wanted = pairs == 0 ? 1 : (kTasksWanted + pairs - 1) / pairs;
  std::vector<Task> tasks;
  std::vector<std::size_t> first_task;  // of (sequence, key/value head)
  std::int64_t part_floats = 0;
  std::int64_t most_queries = 0;
  for (std::size_t s = 0; s < plans.size(); ++s) {
    const std::int64_t length = plans[s].queries;
    std::int64_t step = std::max(kLeastQueries, (length + parts_wanted - 1) / parts_wanted);
    step = (step + kQueryTile - 1) / kQueryTile * kQueryTile;
    most_queries = std::max(most_queries, std::min(step, length));
    for (std::int64_t kv_head = 0; kv_head < heads.kv_heads; ++kv_head) {
      first_task.push_back(tasks.size());
      for (std::int64_t begin = 0; begin < length; begin += step) {
        Task task{s, kv_head, begin, std::min(begin + step, length), 0, length, part_floats};
        if (heads.rule.causal) task.key_end = task.query_end;
        if (heads.rule.sliding_window > 0) {
          const std::int64_t first = begin + 1 - heads.rule.sliding_window;
          task.key_begin = std::max<std::int64_t>(0, first) / kKeyBlock * kKeyBlock;
        }
        part_floats += 2 * (task.key_end - task.key_begin) * padded;
        tasks.push_back(task);
      }
    }
  }
  first_task.push_back(tasks.size());

  const auto float_options = at::TensorOptions().dtype(at::kFloat);
  const at::Tensor parts = at::empty({part_floats}, float_options);
  const auto task_count = static_cast<std::int64_t>(tasks.size());
  const std::int64_t scratch_size =
      kernels.backward_scratch(most_queries, static_cast<int>(group), head_dim);
  const at::Tensor scratch = at::empty({item_threads(task_count) * scratch_size}, float_options);
  auto* part_base = parts.data_ptr<float>();
  auto* scratch_base = scratch.data_ptr<float>();

  const auto heads_of = [&](const at::Tensor& x, std::int64_t row, std::int64_t head) {
    return BackwardTask::Heads{address(x) + (row * x.stride(0) + head * x.stride(1)) * size,
                               x.stride(0), x.stride(1)};
  };
  std::vector<std::size_t> order(tasks.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return tasks[a].cost() > tasks[b].cost(); });
  run_items(task_count, [&](std::int64_t thread, std::int64_t i) {
    const Task& task = tasks[order[i]];
    const SequencePlan& plan = plans[task.sequence];
    const std::int64_t row = plan.first_row + task.query_begin;
    const std::int64_t head = task.kv_head * group;
    BackwardTask work;
    work.queries = heads_of(q, row, head);
    work.output = heads_of(forward.output, row, head);
    work.output_gradient = heads_of(output_gradient, row, head);
    work.logsumexp = forward.logsumexp.const_data_ptr<float>() + head * q.size(0) + row;
    work.logsumexp_stride = q.size(0);
    work.keys = at_head(plan.keys, task.kv_head, heads.key_head_stride, size);
    work.values = at_head(plan.values, task.kv_head, heads.value_head_stride, size);
    work.group = static_cast<int>(group);
    work.head_dim = head_dim;
    work.query_begin = task.query_begin;
    work.query_end = task.query_end;
    work.key_begin = task.key_begin;
    work.key_end = task.key_end;
    work.key_count = plan.key_count;
    work.rule = heads.rule;
    work.scale = heads.scale;
    work.slopes_log2 = heads.slopes(task.kv_head);
    work.query_gradient = static_cast<std::byte*>(gradients.q.data_ptr()) +
                          (row * gradients.q.stride(0) + head * gradients.q.stride(1)) * size;
    work.query_gradient_token_stride = gradients.q.stride(0);
    work.query_gradient_head_stride = gradients.q.stride(1);
    work.key_gradient = part_base + task.offset;
    work.value_gradient = work.key_gradient + (task.key_end - task.key_begin) * padded;
    kernels.backward(work, scratch_base + thread * scratch_size);
  });

  at::parallel_for(0, pairs, 1, [&](std::int64_t pair_begin, std::int64_t pair_end) {
    std::vector<const float*> key_rows;
    std::vector<const float*> value_rows;
    for (std::int64_t pair = pair_begin; pair < pair_end; ++pair) {
      const SequencePlan& plan = plans[pair / heads.kv_heads];
      const std::int64_t kv_head = pair % heads.kv_heads;
      for (std::int64_t key = 0; key < plan.key_count; ++key) {
        key_rows.clear();
        value_rows.clear();
        for (std::size_t t = first_task[pair]; t < first_task[pair + 1]; ++t) {
          const Task& task = tasks[t];
          if (key < task.key_begin || key >= task.key_end) continue;
          const float* part = part_base + task.offset + (key - task.key_begin) * padded;
          key_rows.push_back(part);
          value_rows.push_back(part + (task.key_end - task.key_begin) * padded);
        }
        const std::int64_t at =
            ((plan.first_row + key) * heads.kv_heads + kv_head) * head_dim * size;
        kernels.sum_rows(key_rows.data(), static_cast<int>(key_rows.size()), head_dim, heads.scale,
                         static_cast<std::byte*>(gradients.k.data_ptr()) + at);
        kernels.sum_rows(value_rows.data(), static_cast<int>(value_rows.size()), head_dim, 1.0f,
                         static_cast<std::byte*>(gradients.v.data_ptr()) + at);
      }
    }
  });
  return gradients;
}

}  // namespace tigerbot::cpu
