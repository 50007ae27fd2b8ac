#include <ATen/ops/gelu.h>

#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/ops.h"

namespace tigerbot::ops {

at::Tensor composed::gelu(const at::Tensor& x, Gelu kind) {
  const at::ScalarType accumulate = accumulate_type(x.scalar_type());
  return at::gelu(x.to(accumulate), kind == Gelu::kTanh ? "tanh" : "none").to(x.scalar_type());
}

at::Tensor gelu(const at::Tensor& x, Gelu kind) {
  check_floating("gelu", "x", x);
  return composed::gelu(x, kind);
}

}  // namespace tigerbot::ops
