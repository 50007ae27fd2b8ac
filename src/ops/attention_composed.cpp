#include "ops/attention_composed.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include <limits>

namespace tigerbot::ops::composed {
namespace {

/// Additive scores [heads or 1, queries, keys] of queries at first_position and after.
at::Tensor score_bias(std::int64_t queries, std::int64_t keys, std::int64_t first_position,
                      const AttentionOptions& options, const at::TensorOptions& tensor_options) {
  const auto integers = tensor_options.dtype(at::kLong);
  const at::Tensor distance =
      at::arange(keys, integers).unsqueeze(0) -
      at::arange(first_position, first_position + queries, integers).unsqueeze(1);
  at::Tensor bias = at::zeros({1, queries, keys}, tensor_options);
  if (options.alibi_slopes.defined()) {
    bias = options.alibi_slopes.to(tensor_options.device(), bias.scalar_type()).view({-1, 1, 1}) *
           distance.to(bias.scalar_type());
  }
  if (options.causal)
    bias = bias.masked_fill(distance > 0, -std::numeric_limits<double>::infinity());
  if (options.sliding_window > 0) {
    bias = bias.masked_fill(distance <= -options.sliding_window,
                            -std::numeric_limits<double>::infinity());
  }
  return bias;
}

/// One sequence: q [queries, heads, d], k and v [keys, kv_heads, d].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  std::int64_t first_position, const AttentionOptions& options) {
  const bool plain = !options.alibi_slopes.defined() && options.sliding_window == 0;
  const bool sees_all =
      plain && (!options.causal || (q.size(0) == 1 && k.size(0) == first_position + 1));
  const bool is_causal = plain && !sees_all && first_position == 0 && q.size(0) == k.size(0);
  std::optional<at::Tensor> mask;
  if (!sees_all && !is_causal) {
    // Half precision cannot tell ALiBi's far positions apart: such a bias stays in float32, and
    // so does the whole product, which ATen wants in one type.
    const at::ScalarType type =
        options.alibi_slopes.defined() && q.element_size() < 4 ? at::kFloat : q.scalar_type();
    mask = score_bias(q.size(0), k.size(0), first_position, options, q.options().dtype(type))
               .unsqueeze(0);
  }
  const auto heads_first = [&](const at::Tensor& x) {
    const at::Tensor y = x.transpose(0, 1).unsqueeze(0);
    return mask ? y.to(mask->scalar_type()) : y;
  };
  return at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v), mask, 0.0,
                                          is_causal, options.scale, q.size(1) != k.size(1))
      .squeeze(0)
      .transpose(0, 1)
      .to(q.scalar_type());
}

/// int64 [tokens]: block and row within it of keys [first, last) of sequence i.
std::pair<at::Tensor, at::Tensor> places(const BlockTables& tables, std::int64_t i,
                                         std::int64_t first, std::int64_t last,
                                         std::int64_t block_size) {
  const at::Tensor position = at::arange(first, last, tables.blocks.options().dtype(at::kLong));
  const at::Tensor block =
      tables.blocks.select(0, i).to(at::kLong).index_select(0, position.floor_divide(block_size));
  return {block, position.remainder(block_size)};
}

/// Rows [0, context) of one sequence, [context, kv_heads, d] or, of scales, [context, kv_heads].
at::Tensor gather(const at::Tensor& cache, const BlockTables& tables, std::int64_t i) {
  const auto [block, row] = places(tables, i, 0, tables.context_lengths[i], cache.size(2));
  const at::Tensor rows = cache.transpose(1, 2).flatten(0, 1);  // [blocks * block_size, ...]
  return rows.index_select(0, (block * cache.size(2) + row).to(cache.device()));
}

/// The same as they were before they were quantized, to rounding.
at::Tensor gather(const at::Tensor& cache, const at::Tensor& scales, const BlockTables& tables,
                  std::int64_t i, at::ScalarType type) {
  const at::Tensor rows = gather(cache, tables, i);
  if (!scales.defined()) return rows;
  return (rows.to(at::kFloat) * gather(scales, tables, i).unsqueeze(2)).to(type);
}

/// Integers and scales of rows [tokens, kv_heads, d], as store_key_values says.
std::pair<at::Tensor, at::Tensor> quantize(const at::Tensor& rows) {
  const at::Tensor wide = rows.to(at::kFloat);
  const at::Tensor most = wide.abs().amax(2);
  const at::Tensor usable = (most > 1e-30).logical_and(most.isfinite());
  const at::Tensor integers =
      (wide * (127 / most).unsqueeze(2)).round().masked_fill(usable.logical_not().unsqueeze(2), 0);
  const at::Tensor scales =
      (most / 127)
          .masked_fill(most <= 1e-30, 0)
          .masked_fill(most.isfinite().logical_not(), std::numeric_limits<double>::quiet_NaN());
  return {integers.to(at::kChar), scales};
}

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const Sequences& sequences, const AttentionOptions& options) {
  std::vector<at::Tensor> outputs;
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    const std::int64_t first = sequences.cu_seqlens[i];
    const std::int64_t length = sequences.length(i);
    if (length == 0) continue;
    outputs.push_back(attend(q.narrow(0, first, length), k.narrow(0, first, length),
                             v.narrow(0, first, length), 0, options));
  }
  return outputs.empty() ? at::empty_like(q) : at::cat(outputs);
}

void store_key_values(const at::Tensor& k, const at::Tensor& v, const Sequences& sequences,
                      const BlockTables& tables, const PagedKeyValues& cache) {
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    const std::int64_t length = sequences.length(i);
    if (length == 0) continue;
    const std::int64_t context = tables.context_lengths[i];
    const auto place = places(tables, i, context - length, context, cache.block_size());
    const auto put = [&](const at::Tensor& into, const at::Tensor& from) {
      at::Tensor rows = into.transpose(1, 2);  // [blocks, block_size, kv_heads, d]
      rows.index_put_({place.first.to(into.device()), place.second.to(into.device())}, from);
    };
    const auto store = [&](const at::Tensor& into, const at::Tensor& scales,
                           const at::Tensor& from) {
      const at::Tensor rows = from.narrow(0, sequences.cu_seqlens[i], length);
      if (!scales.defined()) return put(into, rows);
      const auto [integers, their_scales] = quantize(rows);
      put(into, integers);
      put(scales, their_scales);
    };
    store(cache.keys, cache.key_scales, k);
    store(cache.values, cache.value_scales, v);
  }
}

at::Tensor paged_attention(const at::Tensor& q, const PagedKeyValues& cache,
                           const Sequences& sequences, const BlockTables& tables,
                           const AttentionOptions& options) {
  std::vector<at::Tensor> outputs;
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    const std::int64_t length = sequences.length(i);
    if (length == 0) continue;
    const at::ScalarType type = q.scalar_type();
    outputs.push_back(attend(q.narrow(0, sequences.cu_seqlens[i], length),
                             gather(cache.keys, cache.key_scales, tables, i, type),
                             gather(cache.values, cache.value_scales, tables, i, type),
                             tables.context_lengths[i] - length, options));
  }
  return outputs.empty() ? at::empty_like(q) : at::cat(outputs);
}

}  // namespace tigerbot::ops::composed
