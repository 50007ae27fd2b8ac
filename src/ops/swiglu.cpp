#include <ATen/TensorOperators.h>
#include <ATen/ops/silu.h>

#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/ops.h"

namespace tigerbot::ops {

at::Tensor composed::swiglu(const at::Tensor& gate, const at::Tensor& up) {
  const at::ScalarType accumulate = accumulate_type(gate.scalar_type());
  return (at::silu(gate.to(accumulate)) * up.to(accumulate)).to(gate.scalar_type());
}

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  check_floating("swiglu", "gate", gate);
  check_like("swiglu", "up", up, "gate", gate);
  return composed::swiglu(gate, up);
}

}  // namespace tigerbot::ops
