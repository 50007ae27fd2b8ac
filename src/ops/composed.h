#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "ops/ops.h"

/// The operations of ops.h composed of ATen's own, for devices that have no kernels of ours and for
/// float64. Sums are made in float32 or wider. Inputs have been checked by the caller; gradients
/// are autograd's.
namespace tigerbot::ops::composed {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps);
at::Tensor rope(const at::Tensor& x, const RopeAngles& angles, RopeLayout layout);
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);
at::Tensor gelu(const at::Tensor& x, Gelu kind);
at::Tensor embedding(const at::Tensor& ids, const at::Tensor& weight);
CrossEntropy cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                           const at::Tensor& labels, const at::Tensor& token_weights);

}  // namespace tigerbot::ops::composed
