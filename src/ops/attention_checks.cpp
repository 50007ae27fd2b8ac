#include "ops/attention_checks.h"

#include <fmt/ranges.h>

#include "base/error.h"

namespace tigerbot::ops {
namespace {

std::vector<std::int64_t> shape(const at::Tensor& x) { return x.sizes().vec(); }

void check_options(std::int64_t heads, std::int64_t kv_heads, const AttentionOptions& options) {
  if (kv_heads == 0 || heads % kv_heads != 0) {
    fail_internal("attention: {} query heads cannot share {} key/value heads evenly", heads,
                  kv_heads);
  }
  if (options.sliding_window < 0 || (options.sliding_window > 0 && !options.causal)) {
    fail_internal("attention: sliding_window {} needs a causal mask and a positive length",
                  options.sliding_window);
  }
  if (options.alibi_slopes.defined() &&
      (options.alibi_slopes.scalar_type() != at::kFloat || options.alibi_slopes.numel() != heads)) {
    fail_internal("attention: alibi_slopes must be float32 [{}], one for each head", heads);
  }
}

void check_sequences(const Sequences& sequences, std::int64_t tokens) {
  if (sequences.cu_seqlens.empty() || sequences.cu_seqlens.front() != 0 ||
      sequences.cu_seqlens.back() != tokens) {
    fail_internal("attention: cu_seqlens must run from 0 to the {} tokens", tokens);
  }
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    if (sequences.length(i) < 0) fail_internal("attention: cu_seqlens falls at sequence {}", i);
  }
}

}  // namespace

void check_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const Sequences& sequences, const AttentionOptions& options) {
  if (q.dim() != 3 || k.dim() != 3 || k.sizes() != v.sizes() || q.size(0) != k.size(0) ||
      q.size(2) != k.size(2) || q.size(2) == 0) {
    fail_internal("attention: q {}, k {} and v {} must be [tokens, heads, head_dim]", shape(q),
                  shape(k), shape(v));
  }
  if (q.scalar_type() != k.scalar_type() || q.scalar_type() != v.scalar_type()) {
    fail_internal("attention: q, k and v are {}, {} and {}; they must be of one type",
                  c10::toString(q.scalar_type()), c10::toString(k.scalar_type()),
                  c10::toString(v.scalar_type()));
  }
  check_options(q.size(1), k.size(1), options);
  check_sequences(sequences, q.size(0));
}

void check_cache_types(at::ScalarType type, const PagedKeyValues& cache) {
  const at::ScalarType stored = cache.quantized() ? at::kChar : type;
  for (const at::Tensor* side : {&cache.keys, &cache.values}) {
    if (side->scalar_type() == stored) continue;
    fail_internal("paged attention: rows are {} but the cache is {}{}", c10::toString(type),
                  c10::toString(side->scalar_type()), cache.quantized() ? " with scales" : "");
  }
  if (cache.keys.stride(3) != 1 || cache.values.stride(3) != 1) {
    fail_internal("paged attention: a row of the cache must be contiguous");
  }
  if (!cache.quantized()) return;
  for (const at::Tensor* scales : {&cache.key_scales, &cache.value_scales}) {
    if (scales->defined() && scales->scalar_type() == at::kFloat && scales->is_contiguous() &&
        scales->sizes() == cache.keys.sizes().slice(0, 3)) {
      continue;
    }
    fail_internal("paged attention: scales of a cache {} must be contiguous float32 [{}, {}, {}]",
                  shape(cache.keys), cache.keys.size(0), cache.keys.size(1), cache.keys.size(2));
  }
}

void check_paged(const at::Tensor& x, const PagedKeyValues& cache, const Sequences& sequences,
                 const BlockTables& tables) {
  if (cache.keys.dim() != 4 || cache.keys.sizes() != cache.values.sizes() || x.dim() != 3 ||
      x.size(2) != cache.keys.size(3) || x.size(2) == 0 || cache.block_size() == 0) {
    fail_internal(
        "paged attention: rows {} do not fit a cache of keys {} and values {} [blocks, "
        "key/value heads, block_size, head_dim]",
        shape(x), shape(cache.keys), shape(cache.values));
  }
  check_cache_types(x.scalar_type(), cache);
  check_sequences(sequences, x.size(0));
  const std::int64_t n = sequences.count();
  if (tables.blocks.dim() != 2 || tables.blocks.scalar_type() != at::kInt ||
      tables.blocks.size(0) < n || static_cast<std::int64_t>(tables.context_lengths.size()) < n) {
    fail_internal("paged attention: block tables must be int32 [{} sequences, blocks]", n);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t context = tables.context_lengths[i];
    if (context < sequences.length(i) || context > tables.blocks.size(1) * cache.block_size()) {
      fail_internal(
          "paged attention: sequence {} has {} new tokens and a context of {}, with room for {}", i,
          sequences.length(i), context, tables.blocks.size(1) * cache.block_size());
    }
    if (!tables.blocks.is_cpu()) continue;
    const std::int32_t* blocks =
        tables.blocks.const_data_ptr<std::int32_t>() + i * tables.blocks.stride(0);
    for (std::int64_t b = 0; b * cache.block_size() < context; ++b) {
      const std::int32_t block = blocks[b * tables.blocks.stride(1)];
      if (block < 0 || block >= cache.keys.size(0)) {
        fail_internal("paged attention: sequence {} names block {} of a cache of {}", i, block,
                      cache.keys.size(0));
      }
    }
  }
}

void check_paged_heads(const at::Tensor& k, const at::Tensor& v, const PagedKeyValues& cache) {
  if (k.size(1) != cache.keys.size(1) || v.size(1) != cache.keys.size(1)) {
    fail_internal("paged attention: {} key and {} value heads for a cache of {}", k.size(1),
                  v.size(1), cache.keys.size(1));
  }
}

void check_paged_options(const at::Tensor& q, const PagedKeyValues& cache,
                         const AttentionOptions& options) {
  if (!options.causal) fail_internal("paged attention is causal");
  check_options(q.size(1), cache.keys.size(1), options);
}

bool has_attention_kernels(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat);
}

at::Tensor with_contiguous_rows(const at::Tensor& x) {
  return x.stride(-1) == 1 ? x : x.contiguous();
}

}  // namespace tigerbot::ops
