#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace tigerbot::ops {

/// RMSNorm (bias undefined) or LayerNorm of x, or of x + residual where there is one, by our CPU
/// kernels, differentiable: (y, x + residual or undefined). The inputs have been checked.
std::pair<at::Tensor, at::Tensor> fused_norm(const at::Tensor& x, const at::Tensor& residual,
                                             const at::Tensor& weight, const at::Tensor& bias,
                                             double eps);

}  // namespace tigerbot::ops
