#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>

#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/norm.h"
#include "ops/ops.h"

namespace tigerbot::ops {

at::Tensor composed::rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::ScalarType accumulate = accumulate_type(x.scalar_type());
  const at::Tensor wide = x.to(accumulate);
  const at::Tensor scale = at::rsqrt(at::mean(wide * wide, {-1}, true) + eps);
  return (wide * scale * weight.to(accumulate)).to(x.scalar_type());
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  check_floating("rms_norm", "x", x);
  check_parameter("rms_norm", "weight", weight, x);
  if (takes_kernels(x)) return fused_norm(x, {}, weight, {}, eps).first;
  return composed::rms_norm(x, weight, eps);
}

std::pair<at::Tensor, at::Tensor> rms_norm_residual(const at::Tensor& x, const at::Tensor& residual,
                                                    const at::Tensor& weight, double eps) {
  check_floating("rms_norm_residual", "x", x);
  check_like("rms_norm_residual", "residual", residual, "x", x);
  check_parameter("rms_norm_residual", "weight", weight, x);
  if (takes_kernels(x)) return fused_norm(x, residual, weight, {}, eps);
  const at::Tensor sum = x + residual;
  return {composed::rms_norm(sum, weight, eps), sum};
}

}  // namespace tigerbot::ops
