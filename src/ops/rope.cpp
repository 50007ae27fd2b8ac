#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/cpu/fused_kernels.h"
#include "ops/ops.h"
#include "ops/recorded.h"

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

constexpr std::int64_t kElementsPerTask = 16384;

// x may have any strides over tokens and heads: a slice of a fused projection is read in place.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool adjacent,
                  bool backward) {
  const Recorded recorded("tigerbot::rope", 2 * static_cast<std::int64_t>(x.nbytes()));
  const at::Tensor rows = x.stride(2) == 1 ? x : x.contiguous();
  at::Tensor y = at::empty(x.sizes(), x.options());
  const cpu::FusedKernels& kernels = cpu::fused_kernels(x.scalar_type() == at::kBFloat16);
  const std::int64_t per_token = x.size(1) * x.size(2);
  const auto bytes = static_cast<std::int64_t>(x.element_size());
  const std::int64_t grain =
      std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, per_token));
  at::parallel_for(0, x.size(0), grain, [&](std::int64_t begin, std::int64_t end) {
    cpu::Rotation task;
    task.tokens = end - begin;
    task.heads = x.size(1);
    task.head_dim = x.size(2);
    task.half = cos.size(1);
    task.token_stride = rows.stride(0);
    task.head_stride = rows.stride(1);
    task.x = static_cast<const char*>(rows.const_data_ptr()) + begin * task.token_stride * bytes;
    task.cos = cos.const_data_ptr<float>() + begin * task.half;
    task.sin = sin.const_data_ptr<float>() + begin * task.half;
    task.adjacent = adjacent;
    task.backward = backward;
    task.y = static_cast<char*>(y.mutable_data_ptr()) + begin * per_token * bytes;
    kernels.rotate(task);
  });
  return y;
}

struct Rope : torch::autograd::Function<Rope> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& x,
                            const at::Tensor& cos, const at::Tensor& sin, bool adjacent) {
    ctx->save_for_backward({cos, sin});
    ctx->saved_data["adjacent"] = adjacent;
    return rotate(x, cos, sin, adjacent, false);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list gradients) {
    const torch::autograd::variable_list saved = ctx->get_saved_variables();
    const bool adjacent = ctx->saved_data["adjacent"].toBool();
    return {rotate(gradients[0], saved[0], saved[1], adjacent, true), at::Tensor(), at::Tensor(),
            at::Tensor()};
  }
};

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
  if (takes_kernels(x)) {
    return Rope::apply(x, angles.cos.contiguous(), angles.sin.contiguous(),
                       layout == RopeLayout::kAdjacentPair);
  }
  return composed::rope(x, angles, layout);
}

}  // namespace tigerbot::ops
