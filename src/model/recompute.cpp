#include "model/recompute.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>

namespace tigerbot {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Carries the block from the forward pass to the backward one.
struct Kept : torch::CustomClassHolder {
  explicit Kept(Block given) : block(std::move(given)) {}
  Block block;
};

/// The same values, cut off from what made them.
variable_list leaves(const variable_list& inputs) {
  variable_list result;
  for (const at::Tensor& input : inputs) {
    result.push_back(input.detach().set_requires_grad(input.requires_grad()));
  }
  return result;
}

struct Recomputed : torch::autograd::Function<Recomputed> {
  // Autograd looks for inputs in a TensorList, but not in a vector.
  static variable_list forward(AutogradContext* ctx, at::TensorList list, const Block& block) {
    const variable_list inputs = list.vec();
    ctx->save_for_backward(inputs);
    ctx->saved_data["block"] = at::IValue::make_capsule(c10::make_intrusive<Kept>(block));
    // As in the backward pass, since what runs without gradients may round otherwise (products with
    // quantized weights do). What is kept for them goes when the block is done.
    variable_list outputs;
    const at::AutoGradMode with_gradients(true);
    for (const at::Tensor& output : block(leaves(inputs))) outputs.push_back(output.detach());
    return outputs;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto kept =
        c10::static_intrusive_pointer_cast<Kept>(ctx->saved_data["block"].toCapsule());
    variable_list inputs = leaves(ctx->get_saved_variables());
    const at::AutoGradMode with_gradients(true);
    variable_list outputs = kept->block(inputs);
    variable_list roots;
    variable_list seeds;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].requires_grad() || !gradients[i].defined()) continue;
      roots.push_back(outputs[i]);
      seeds.push_back(gradients[i]);
    }
    torch::autograd::backward(roots, seeds);
    variable_list result;
    for (const at::Tensor& input : inputs) result.push_back(input.grad());
    result.emplace_back();  // the block itself has none
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> recompute(const Block& block, const std::vector<at::Tensor>& inputs) {
  if (!at::GradMode::is_enabled()) return block(inputs);
  // Autograd comes back here only if an input wants gradients; where the layers below are frozen,
  // none does although parameters of this block may.
  std::vector<at::Tensor> given = inputs;
  if (std::ranges::none_of(given, [](const at::Tensor& x) { return x.requires_grad(); })) {
    given.front() = given.front().detach().set_requires_grad(true);
  }
  return Recomputed::apply(at::TensorList(given), block);
}

}  // namespace tigerbot
