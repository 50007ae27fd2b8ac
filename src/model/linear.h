#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/low_rank_adapter.h"
#include "model/parameters.h"
#include "ops/linear.h"
#include "ops/ops.h"
#include "ops/quantized_linear.h"

namespace tigerbot {

/// y = x W^T + b. How the weight is held (dense, or quantized to 3, 4 or 8 bits) is this class's
/// own affair: callers give activations and get activations.
class Linear {
 public:
  /// Parameters `name`.weight [out_features, in_features] and, if asked, `name`.bias.
  Linear(std::string name, std::int64_t in_features, std::int64_t out_features, bool has_bias);

  /// x [tokens, in_features] -> [tokens, out_features].
  at::Tensor operator()(const at::Tensor& x) const {
    if (observer_) observer_(x);
    const at::Tensor y = quantized_.defined() ? ops::linear(x, quantized_, bias_)
                         : packed_.defined() && !at::GradMode::is_enabled()
                             ? ops::linear(x, packed_, bias_)
                             : ops::linear(x, weight_, bias_);
    return adapter_ ? add_adapter(x, y, *adapter_) : y;
  }

  /// The weight, where it is dense, and the bias.
  void append_parameters(std::vector<Parameter>& list);

  /// "model.layers.0.self_attn.q_proj".
  const std::string& name() const { return name_; }
  std::int64_t in_features() const { return in_features_; }
  std::int64_t out_features() const { return out_features_; }

  /// Adds what a low-rank adapter says to every result; nullptr takes it away.
  void set_adapter(std::shared_ptr<const LowRankAdapter> adapter) { adapter_ = std::move(adapter); }
  bool has_adapter() const { return adapter_ != nullptr; }

  /// Whether a result is x W^T of a dense weight and no more, so that several layers' products may
  /// be joined.
  bool is_plain() const { return !has_bias_ && !adapter_ && !observer_ && !quantized_.defined(); }

  /// Takes this weight [out_features, in_features] in place of the one that it has.
  void set_quantized(ops::QuantizedWeight weight);
  /// Has no weight any more, as before loading.
  void release_weight();
  bool is_quantized() const { return quantized_.defined(); }
  const ops::QuantizedWeight& quantized() const { return quantized_; }

  /// Makes a packed copy of a dense weight on the CPU, which products without gradients then run
  /// with: the bits of a row do not depend on what other rows there are.
  void pack();
  /// Forgets it: the weight may change.
  void unpack() { packed_ = ops::PackedWeight(); }

  /// Is told of every x before the product, for calibration; an empty function ends that.
  void set_observer(std::function<void(const at::Tensor& x)> observer) {
    observer_ = std::move(observer);
  }

  /// The plain tensors, for steps that fuse several layers; the weight is undefined where it is
  /// quantized, and the bias may be.
  const at::Tensor& weight() const { return weight_; }
  const at::Tensor& bias() const { return bias_; }

 private:
  std::string name_;
  std::int64_t in_features_;
  std::int64_t out_features_;
  bool has_bias_;
  at::Tensor weight_;
  at::Tensor bias_;
  ops::QuantizedWeight quantized_;
  ops::PackedWeight packed_;
  std::function<void(const at::Tensor&)> observer_;
  std::shared_ptr<const LowRankAdapter> adapter_;
};

}  // namespace tigerbot
