#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/ops.h"

namespace tigerbot::ops {

inline constexpr std::int64_t kIgnoredLabel = -100;

/// cross_entropy by our CPU kernels and ATen's products. The inputs have been checked.
CrossEntropy fused_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                                 const at::Tensor& labels, const at::Tensor& token_weights);

}  // namespace tigerbot::ops
