#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

void check_rope(const at::Tensor& x, const RopeAngles& angles) {
  check_floating("rope", "x", x);
  check_shape("rope", "x", x, {-1, -1, -1});
  check_shape("rope", "angles.cos", angles.cos, {x.size(0), -1});
  check_like("rope", "angles.sin", angles.sin, "angles.cos", angles.cos);
  const bool type_matches =
      angles.cos.scalar_type() == at::kFloat ||
      (x.scalar_type() == at::kDouble && angles.cos.scalar_type() == at::kDouble);
  if (!type_matches || angles.cos.device() != x.device()) {
    fail("rope: angles.cos is {} but x is {}; the angles are float32 on x's device",
         describe(angles.cos), describe(x));
  }
  if (2 * angles.cos.size(1) > x.size(2)) {
    fail("rope: angles.cos is {} but a head has {} features; at most half of them can be angles",
         describe(angles.cos), x.size(2));
  }
}

}  // namespace

at::Tensor composed::rope(const at::Tensor& x, const RopeAngles& angles, RopeLayout layout) {
  const std::int64_t half = angles.cos.size(1);
  const at::ScalarType accumulate = accumulate_type(x.scalar_type());
  const at::Tensor cos = angles.cos.to(accumulate).unsqueeze(1);
  const at::Tensor sin = angles.sin.to(accumulate).unsqueeze(1);
  const at::Tensor turning = x.narrow(2, 0, 2 * half).to(accumulate);
  at::Tensor turned;
  if (layout == RopeLayout::kHalfSplit) {
    const at::Tensor a = turning.narrow(2, 0, half);
    const at::Tensor b = turning.narrow(2, half, half);
    turned = at::cat({a * cos - b * sin, b * cos + a * sin}, 2);
  } else {
    const at::Tensor pairs = turning.unflatten(2, {half, 2});
    const at::Tensor a = pairs.select(3, 0);
    const at::Tensor b = pairs.select(3, 1);
    turned = at::stack({a * cos - b * sin, b * cos + a * sin}, 3).flatten(2);
  }
  turned = turned.to(x.scalar_type());
  const std::int64_t rest = x.size(2) - 2 * half;
  return rest == 0 ? turned : at::cat({turned, x.narrow(2, 2 * half, rest)}, 2);
}

at::Tensor rope(const at::Tensor& x, const RopeAngles& angles, RopeLayout layout) {
  check_rope(x, angles);
  return composed::rope(x, angles, layout);
}

}  // namespace tigerbot::ops
