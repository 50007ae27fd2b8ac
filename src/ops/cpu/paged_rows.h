#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>

#include "ops/cpu/attention_kernels.h"

/// Where the attention kernels find rows of a paged cache.
namespace tigerbot::cpu {

/// The rows of head 0 of one side of a cache, in these blocks.
inline RowSource paged_rows(const at::Tensor& rows, const at::Tensor& scales,
                            const std::int32_t* blocks) {
  RowSource source{rows.const_data_ptr(), rows.stride(2), blocks, rows.size(2), rows.stride(0)};
  if (scales.defined()) {
    source.scales = scales.const_data_ptr<float>();
    source.scale_block_stride = scales.stride(0);
  }
  return source;
}

/// The same rows of another head; `stride` in elements, whose storage type has `size` bytes.
inline RowSource at_head(RowSource source, std::int64_t head, std::int64_t stride,
                         std::int64_t size) {
  if (source.scales != nullptr) {
    source.scales += head * source.block_size;
    size = 1;
  }
  source.base = static_cast<const std::byte*>(source.base) + head * stride * size;
  return source;
}

}  // namespace tigerbot::cpu
