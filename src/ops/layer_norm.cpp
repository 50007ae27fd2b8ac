#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>

#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/norm.h"
#include "ops/ops.h"

namespace tigerbot::ops {

at::Tensor composed::layer_norm(const at::Tensor& x, const at::Tensor& weight,
                                const at::Tensor& bias, double eps) {
  const at::ScalarType accumulate = accumulate_type(x.scalar_type());
  const at::Tensor wide = x.to(accumulate);
  const at::Tensor centered = wide - at::mean(wide, {-1}, true);
  const at::Tensor scale = at::rsqrt(at::mean(centered * centered, {-1}, true) + eps);
  return (centered * scale * weight.to(accumulate) + bias.to(accumulate)).to(x.scalar_type());
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps) {
  check_floating("layer_norm", "x", x);
  check_parameter("layer_norm", "weight", weight, x);
  check_parameter("layer_norm", "bias", bias, x);
  if (takes_kernels(x)) return fused_norm(x, {}, weight, bias, eps).first;
  return composed::layer_norm(x, weight, bias, eps);
}

std::pair<at::Tensor, at::Tensor> layer_norm_residual(const at::Tensor& x,
                                                      const at::Tensor& residual,
                                                      const at::Tensor& weight,
                                                      const at::Tensor& bias, double eps) {
  check_floating("layer_norm_residual", "x", x);
  check_like("layer_norm_residual", "residual", residual, "x", x);
  check_parameter("layer_norm_residual", "weight", weight, x);
  check_parameter("layer_norm_residual", "bias", bias, x);
  if (takes_kernels(x)) return fused_norm(x, residual, weight, bias, eps);
  const at::Tensor sum = x + residual;
  return {composed::layer_norm(sum, weight, bias, eps), sum};
}

}  // namespace tigerbot::ops
