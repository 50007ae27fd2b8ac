#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/checks.h"
#include "ops/composed.h"
#include "ops/cpu/fused_kernels.h"
#include "ops/elementwise.h"
#include "ops/ops.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const cpu::FusedKernels& kernels_for(const at::Tensor& x) {
  return cpu::fused_kernels(x.scalar_type() == at::kBFloat16);
}

struct SwiGlu : torch::autograd::Function<SwiGlu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate, const at::Tensor& up) {
    const Recorded recorded("tigerbot::swiglu", 3 * static_cast<std::int64_t>(gate.nbytes()));
    const at::Tensor g = gate.contiguous();
    const at::Tensor u = up.contiguous();
    at::Tensor y = at::empty(g.sizes(), g.options());
    const cpu::FusedKernels& kernels = kernels_for(g);
    parallel_elements(g.numel(), [&](std::int64_t begin, std::int64_t end) {
      kernels.swiglu(end - begin, element(g, begin), element(u, begin), mutable_element(y, begin));
    });
    ctx->save_for_backward({g, u});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor& g = saved[0];
    const Recorded recorded("tigerbot::swiglu_backward", 5 * static_cast<std::int64_t>(g.nbytes()));
    const at::Tensor& u = saved[1];
    const at::Tensor dy = gradients[0].contiguous();
    const at::Tensor dgate = at::empty(g.sizes(), g.options());
    const at::Tensor dup = at::empty(g.sizes(), g.options());
    const cpu::FusedKernels& kernels = kernels_for(g);
    parallel_elements(g.numel(), [&](std::int64_t begin, std::int64_t end) {
      kernels.swiglu_backward(end - begin, element(g, begin), element(u, begin), element(dy, begin),
                              mutable_element(dgate, begin), mutable_element(dup, begin));
    });
    return {dgate, dup};
  }
};

}  // namespace

at::Tensor composed::swiglu(const at::Tensor& gate, const at::Tensor& up) {
  const at::ScalarType accumulate = accumulate_type(gate.scalar_type());
  return (at::silu(gate.to(accumulate)) * up.to(accumulate)).to(gate.scalar_type());
}

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  check_floating("swiglu", "gate", gate);
  check_like("swiglu", "up", up, "gate", gate);
  if (takes_kernels(gate)) return SwiGlu::apply(gate, up);
  return composed::swiglu(gate, up);
}

}  // namespace tigerbot::ops
