#include <ATen/Parallel.h>

#include <cstddef>
#include <cstring>

#include "ops/attention_checks.h"
#include "ops/attention_composed.h"
#include "ops/cpu/attention.h"
#include "ops/cpu/attention_kernels.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

/// Copies each token's row of each head to its block, or quantizes it.
void store_rows(const at::Tensor& rows, const Sequences& sequences, const BlockTables& tables,
                const at::Tensor& cache, const at::Tensor& scales) {
  const std::int64_t size = rows.element_size();
  const auto head_dim = static_cast<int>(rows.size(2));
  float* const scale_base = scales.defined() ? scales.data_ptr<float>() : nullptr;
  const auto quantize = cpu::attention_kernels(rows.scalar_type() == at::kBFloat16).quantize;
  const std::int64_t block_size = cache.size(2);
  const auto* from = static_cast<const std::byte*>(rows.const_data_ptr());
  auto* into = static_cast<std::byte*>(cache.data_ptr());
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    const std::int32_t* blocks =
        tables.blocks.const_data_ptr<std::int32_t>() + i * tables.blocks.stride(0);
    const std::int64_t length = sequences.length(i);
    const std::int64_t first = tables.context_lengths[i] - length;
    at::parallel_for(0, length, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        const std::int64_t position = first + t;
        const std::int64_t block = blocks[position / block_size];
        for (std::int64_t head = 0; head < rows.size(1); ++head) {
          const std::int64_t source =
              (sequences.cu_seqlens[i] + t) * rows.stride(0) + head * rows.stride(1);
          const std::int64_t place = block * cache.stride(0) + head * cache.stride(1) +
                                     position % block_size * cache.stride(2);
          if (scale_base == nullptr) {
            std::memcpy(into + place * size, from + source * size,
                        static_cast<std::size_t>(rows.size(2) * size));
            continue;
          }
          scale_base[(block * rows.size(1) + head) * block_size + position % block_size] = quantize(
              from + source * size, head_dim, reinterpret_cast<std::int8_t*>(into + place));
        }
      }
    });
  }
}

BlockTables with_contiguous_blocks(const BlockTables& tables) {
  return {tables.blocks.contiguous(), tables.context_lengths};
}

}  // namespace

void store_key_values(const at::Tensor& k, const at::Tensor& v, const Sequences& sequences,
                      const BlockTables& tables, const PagedKeyValues& cache) {
  check_paged(k, cache, sequences, tables);
  check_paged(v, cache, sequences, tables);
  check_paged_heads(k, v, cache);
  if (!k.is_cpu() || (cache.quantized() && !has_attention_kernels(k))) {
    return composed::store_key_values(k, v, sequences, tables, cache);
  }
  const BlockTables blocks = with_contiguous_blocks(tables);
  store_rows(with_contiguous_rows(k), sequences, blocks, cache.keys, cache.key_scales);
  store_rows(with_contiguous_rows(v), sequences, blocks, cache.values, cache.value_scales);
}

at::Tensor paged_attention(const at::Tensor& q, const PagedKeyValues& cache,
                           const Sequences& sequences, const BlockTables& tables,
                           const AttentionOptions& options) {
  check_paged(q, cache, sequences, tables);
  check_paged_options(q, cache, options);
  if (!has_attention_kernels(q)) {
    return composed::paged_attention(q, cache, sequences, tables, options);
  }
  return cpu::paged_attention(with_contiguous_rows(q), cache, sequences.cu_seqlens,
                              with_contiguous_blocks(tables), options);
}

}  // namespace tigerbot::ops
