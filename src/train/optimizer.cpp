#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>

#include "base/error.h"
#include "ops/optimizer.h"

namespace tigerbot::train {

/// Autograd calls it when the gradient of a leaf is whole.
class Optimizer::Adder : public torch::autograd::PostAccumulateGradHook {
 public:
  Adder(Optimizer& optimizer, std::size_t index) : optimizer_(optimizer), index_(index) {}

  void operator()(const at::Tensor& leaf) override {
    if (!optimizer_.adds_up_) return;
    const TrainedParameter& parameter = optimizer_.parameters_[index_];
    const at::Tensor part = parameter.part(leaf.grad()).contiguous();
    at::Tensor& sum = optimizer_.sums_[index_];
    if (optimizer_.has_sum_[index_]) {
      ops::accumulate(sum, part);
    } else {
      if (!sum.defined()) sum = at::empty_like(part, at::TensorOptions(at::kFloat));
      sum.copy_(part);
      optimizer_.has_sum_[index_] = true;
    }
    leaf.mutable_grad().reset();
  }

 private:
  Optimizer& optimizer_;
  std::size_t index_;
};

Optimizer::Optimizer(std::vector<TrainedParameter> parameters, const OptimizerOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& whole = *parameters_[i].tensor;
    const at::Tensor weight = parameters_[i].part(whole);
    const at::TensorOptions wide = weight.options().dtype(at::kFloat);
    State state;
    if (weight.scalar_type() == at::kBFloat16) {
      state.low = at::zeros_like(weight, weight.options().dtype(at::kShort));
    }
    state.first_moment = at::zeros_like(weight, wide);
    state.second_moment = at::zeros_like(weight, wide);
    states_.push_back(std::move(state));
    torch::autograd::impl::set_post_acc_grad_hooks(whole, std::make_unique<Adder>(*this, i));
  }
  sums_.resize(parameters_.size());
  has_sum_.resize(parameters_.size(), false);
}

Optimizer::~Optimizer() {
  for (const TrainedParameter& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(*parameter.tensor, nullptr);
  }
}

void Optimizer::begin_step(std::int64_t micro_batches) {
  drop_gradients();
  adds_up_ = micro_batches > 1;
}

at::Tensor Optimizer::gradient(std::size_t i) const {
  if (adds_up_) return has_sum_[i] ? sums_[i] : at::Tensor();
  const at::Tensor& whole = parameters_[i].tensor->grad();
  return whole.defined() ? parameters_[i].part(whole).contiguous() : at::Tensor();
}

double Optimizer::gradient_norm() const {
  double sum = 0;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (const at::Tensor g = gradient(i); g.defined()) sum += ops::sum_of_squares(g);
  }
  return std::sqrt(sum);
}

void Optimizer::for_each_gradient(const std::function<void(at::Tensor&)>& change) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor g = gradient(i);
    if (g.defined()) change(g);
  }
}

void Optimizer::step(double learning_rate, double norm) {
  const at::NoGradGuard no_grad;
  ++updates_;
  ops::AdamW adamw;
  adamw.learning_rate = learning_rate;
  adamw.beta1 = options_.beta1;
  adamw.beta2 = options_.beta2;
  adamw.eps = options_.eps;
  adamw.step = updates_;
  // PyTorch's clip_grad_norm_ adds the same 1e-6.
  if (options_.clip_norm > 0) {
    adamw.gradient_scale = std::min(1.0, options_.clip_norm / (norm + 1e-6));
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor g = gradient(i);
    if (!g.defined()) continue;
    adamw.weight_decay = parameters_[i].decays ? options_.weight_decay : 0;
    ops::adamw_step(parameters_[i].part(*parameters_[i].tensor), states_[i].low,
                    states_[i].first_moment, states_[i].second_moment, g, adamw);
    parameters_[i].tensor->mutable_grad().reset();
  }
  drop_gradients();
}

void Optimizer::drop_gradients() {
  for (const TrainedParameter& parameter : parameters_) parameter.tensor->mutable_grad().reset();
  has_sum_.assign(has_sum_.size(), false);
}

at::Tensor Optimizer::master(std::size_t i) const {
  const at::NoGradGuard no_grad;
  const at::Tensor weight = parameters_[i].part(*parameters_[i].tensor).detach();
  return states_[i].low.defined() ? ops::join_master(weight, states_[i].low) : weight;
}

void Optimizer::set_master(std::size_t i, const at::Tensor& master) {
  const at::NoGradGuard no_grad;
  at::Tensor weight = parameters_[i].part(*parameters_[i].tensor);
  if (states_[i].low.defined()) {
    const auto halves = ops::split_master(master.to(at::kFloat).contiguous());
    weight.copy_(halves.first);
    states_[i].low.copy_(halves.second);
  } else {
    weight.copy_(master);
  }
}

void Optimizer::set_moments(std::size_t i, const at::Tensor& first, const at::Tensor& second) {
  const at::NoGradGuard no_grad;
  states_[i].first_moment.copy_(first);
  states_[i].second_moment.copy_(second);
}

}  // namespace tigerbot::train
