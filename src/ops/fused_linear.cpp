#include "ops/fused_linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What a product keeps for its backward pass: x, or what makes it again, and the weights.
void keep(AutogradContext* ctx, const at::Tensor& x, at::TensorList weights,
          const NormedInput& origin) {
  variable_list saved;
  if (origin.input.defined()) {
    saved = {origin.input.detach(), origin.weight.detach()};
  } else {
    saved = {x};
  }
  ctx->saved_data["norm_eps"] = origin.eps;
  ctx->saved_data["tensors_of_x"] = static_cast<std::int64_t>(saved.size());
  saved.insert(saved.end(), weights.begin(), weights.end());
  ctx->save_for_backward(saved);
}

struct Kept {
  at::Tensor x;  ///< undefined where no weight wants a gradient
  variable_list weights;
};

Kept kept(AutogradContext* ctx) {
  const variable_list saved = ctx->get_saved_variables();
  const auto of_x = static_cast<std::size_t>(ctx->saved_data["tensors_of_x"].toInt());
  Kept result{{}, {saved.begin() + static_cast<std::ptrdiff_t>(of_x), saved.end()}};
  bool wanted = false;
  for (std::size_t i = 0; i < result.weights.size(); ++i) {
    wanted = wanted || ctx->needs_input_grad(i + 1);
  }
  if (!wanted) return result;
  const at::NoGradGuard no_grad;
  result.x =
      of_x == 1 ? saved[0] : rms_norm(saved[0], saved[1], ctx->saved_data["norm_eps"].toDouble());
  return result;
}

// `origin` is no input of autograd's: x's own graph leads to it.
struct JoinedLinears : torch::autograd::Function<JoinedLinears> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, at::TensorList weights,
                               const NormedInput& origin) {
    keep(ctx, x, weights, origin);
    const at::Tensor all = at::linear(x, at::cat(weights));
    variable_list parts;
    std::int64_t column = 0;
    for (const at::Tensor& weight : weights) {
      parts.push_back(all.narrow(1, column, weight.size(0)));
      column += weight.size(0);
    }
    return parts;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const Kept saved = kept(ctx);
    const variable_list& weights = saved.weights;
    const auto given = std::ranges::find_if(gradients, &at::Tensor::defined);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].defined()) continue;
      gradients[i] = at::zeros({given->size(0), weights[i].size(0)}, weights[i].options());
    }
    const at::Tensor dy = at::cat(gradients, 1);
    variable_list result(weights.size() + 2);
    if (ctx->needs_input_grad(0)) result[0] = at::mm(dy, at::cat(weights));
    if (!saved.x.defined()) return result;
    const at::Tensor d_weights = at::mm(dy.t(), saved.x);
    std::int64_t row = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      result[i + 1] = d_weights.narrow(0, row, weights[i].size(0));
      row += weights[i].size(0);
    }
    return result;
  }
};

struct ParallelLinears : torch::autograd::Function<ParallelLinears> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, at::TensorList weights,
                               const NormedInput& origin) {
    keep(ctx, x, weights, origin);
    variable_list result;
    for (const at::Tensor& weight : weights) result.push_back(at::linear(x, weight));
    return result;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const Kept saved = kept(ctx);
    variable_list result(saved.weights.size() + 2);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined()) continue;
      const at::Tensor dy = gradients[i].contiguous();
      const at::Tensor& weight = saved.weights[i];
      if (ctx->needs_input_grad(0)) {
        if (result[0].defined()) {
          result[0].addmm_(dy, weight);
        } else {
          result[0] = at::mm(dy, weight);
        }
      }
      if (ctx->needs_input_grad(i + 1)) result[i + 1] = at::mm(dy.t(), saved.x);
    }
    return result;
  }
};

struct SwigluLinear : torch::autograd::Function<SwigluLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate, const at::Tensor& up,
                            const at::Tensor& weight) {
    ctx->save_for_backward({gate, up, weight});
    return at::linear(swiglu(gate, up), weight);
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous();
    const at::Tensor gate = saved[0].detach().set_requires_grad(true);
    const at::Tensor up = saved[1].detach().set_requires_grad(true);
    variable_list result(3);
    const at::AutoGradMode with_gradients(true);
    const at::Tensor product = swiglu(gate, up);
    at::Tensor d_product;
    {
      const at::NoGradGuard no_grad;
      if (ctx->needs_input_grad(2)) result[2] = at::mm(dy.t(), product);
      d_product = at::mm(dy, saved[2]);
    }
    const variable_list inner = torch::autograd::grad({product}, {gate, up}, {d_product});
    result[0] = inner[0];
    result[1] = inner[1];
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> joined_linears(const NormedInput& x,
                                       const std::vector<at::Tensor>& weights) {
  return JoinedLinears::apply(x.x, at::TensorList(weights), x);
}

std::vector<at::Tensor> parallel_linears(const NormedInput& x,
                                         const std::vector<at::Tensor>& weights) {
  return ParallelLinears::apply(x.x, at::TensorList(weights), x);
}

at::Tensor swiglu_linear(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& weight) {
  return SwigluLinear::apply(gate, up, weight);
}

}  // namespace tigerbot::ops
