#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "train/trained_parameters.h"

namespace tigerbot::train {

struct OptimizerOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-5;
  double weight_decay = 0.1;  ///< not on norms and biases
  double clip_norm = 1.0;     ///< the longest gradient, all parameters together; 0: any
};

/// AdamW over the chosen parameters of a model, with float32 masters and state, and the gradients
/// of a step.
///
/// Where a step has several micro-batches their gradients are added up in float32, each as autograd
/// finishes it, and the model's own type never holds a sum: adding hundreds of bfloat16 gradients
/// in bfloat16 would lose all but the largest. A step of one micro-batch uses its gradients as they
/// are, and needs no float32 copy.
class Optimizer {
 public:
  Optimizer(std::vector<TrainedParameter> parameters, const OptimizerOptions& options);
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  const std::vector<TrainedParameter>& parameters() const { return parameters_; }

  /// Gets ready for the gradients of this many micro-batches.
  void begin_step(std::int64_t micro_batches);

  /// The length of the gradient over all parameters (Euclidean), before clipping.
  double gradient_norm() const;

  /// Calls `change` with the gradient of every parameter, in order: where ranks add theirs up.
  void for_each_gradient(const std::function<void(at::Tensor&)>& change);

  /// One update at this rate, with the gradient clipped, of which gradient_norm() was `norm`.
  /// Gradients are gone afterwards.
  void step(double learning_rate, double norm);

  /// Forgets the gradients of a step that is skipped.
  void drop_gradients();

  /// Updates so far: what Adam's bias correction counts.
  std::int64_t updates() const { return updates_; }
  void set_updates(std::int64_t updates) { updates_ = updates; }

  /// The gradient of one parameter; undefined where there is none.
  at::Tensor gradient(std::size_t parameter) const;

  /// What is kept of a parameter besides its weight, all of the shape of its trained part.
  struct State {
    at::Tensor low;  ///< int16, completes the float32 master of a bfloat16 weight; else undefined
    at::Tensor first_moment;
    at::Tensor second_moment;
  };
  const State& state(std::size_t parameter) const { return states_[parameter]; }

  /// The float32 master of a parameter's trained part.
  at::Tensor master(std::size_t parameter) const;

  /// Sets the master, and the weight by it.
  void set_master(std::size_t parameter, const at::Tensor& master);

  /// Sets the moments.
  void set_moments(std::size_t parameter, const at::Tensor& first, const at::Tensor& second);

 private:
  class Adder;

  std::vector<TrainedParameter> parameters_;
  OptimizerOptions options_;
  std::vector<State> states_;
  bool adds_up_ = false;
  std::vector<at::Tensor> sums_;  // float32; undefined until the step's first gradient
  std::vector<bool> has_sum_;
  std::int64_t updates_ = 0;
};

}  // namespace tigerbot::train
