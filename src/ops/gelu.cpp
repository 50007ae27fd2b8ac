#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/cpu/fused_kernels.h"
#include "ops/elementwise.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct FusedGelu : torch::autograd::Function<FusedGelu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, bool tanh) {
    const at::Tensor in = x.contiguous();
    at::Tensor y = at::empty(in.sizes(), in.options());
    const cpu::FusedKernels& kernels = cpu::fused_kernels(in.scalar_type() == at::kBFloat16);
    const auto kernel = tanh ? kernels.gelu_tanh : kernels.gelu_exact;
    parallel_elements(in.numel(), [&](std::int64_t begin, std::int64_t end) {
      kernel(end - begin, element(in, begin), mutable_element(y, begin));
    });
    ctx->save_for_backward({in});
    ctx->saved_data["tanh"] = tanh;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor in = ctx->get_saved_variables()[0];
    const at::Tensor dy = gradients[0].contiguous();
    const at::Tensor dx = at::empty(in.sizes(), in.options());
    const cpu::FusedKernels& kernels = cpu::fused_kernels(in.scalar_type() == at::kBFloat16);
    const auto kernel =
        ctx->saved_data["tanh"].toBool() ? kernels.gelu_tanh_backward : kernels.gelu_exact_backward;
    parallel_elements(in.numel(), [&](std::int64_t begin, std::int64_t end) {
      kernel(end - begin, element(in, begin), element(dy, begin), mutable_element(dx, begin));
    });
    return {dx, at::Tensor()};
  }
};

}  // namespace

at::Tensor composed::gelu(const at::Tensor& x, Gelu kind) {
  const at::ScalarType accumulate = accumulate_type(x.scalar_type());
  return at::gelu(x.to(accumulate), kind == Gelu::kTanh ? "tanh" : "none").to(x.scalar_type());
}

at::Tensor gelu(const at::Tensor& x, Gelu kind) {
  check_floating("gelu", "x", x);
  if (takes_kernels(x)) return FusedGelu::apply(x, kind == Gelu::kTanh);
  return composed::gelu(x, kind);
}

}  // namespace tigerbot::ops
