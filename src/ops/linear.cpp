#include <ATen/ops/linear.h>

#include "ops/ops.h"

namespace tigerbot::ops {

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

}  // namespace tigerbot::ops
