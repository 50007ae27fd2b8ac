#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tigerbot::ops {

/// Runs body(begin, end) over [0, n) elements on ATen's threads, in whole blocks.
template <typename Body>
void parallel_elements(std::int64_t n, const Body& body) {
  constexpr std::int64_t kBlock = 8192;
  at::parallel_for(0, (n + kBlock - 1) / kBlock, 2, [&](std::int64_t first, std::int64_t last) {
    body(first * kBlock, last * kBlock < n ? last * kBlock : n);
  });
}

/// The address of element i of a contiguous tensor.
inline const void* element(const at::Tensor& x, std::int64_t i) {
  return static_cast<const char*>(x.const_data_ptr()) +
         i * static_cast<std::int64_t>(x.element_size());
}
inline void* mutable_element(const at::Tensor& x, std::int64_t i) {
  return static_cast<char*>(x.mutable_data_ptr()) + i * static_cast<std::int64_t>(x.element_size());
}

}  // namespace tigerbot::ops
