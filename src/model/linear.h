#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/parameters.h"
#include "ops/ops.h"

namespace tigerbot {

/// y = x W^T + b. How the weight is held is this class's own affair: callers give activations and
/// get activations.
class Linear {
 public:
  /// Parameters `name`.weight [out_features, in_features] and, if asked, `name`.bias.
  Linear(std::string name, std::int64_t in_features, std::int64_t out_features, bool has_bias);

  /// x [tokens, in_features] -> [tokens, out_features].
  at::Tensor operator()(const at::Tensor& x) const { return ops::linear(x, weight_, bias_); }

  void append_parameters(std::vector<Parameter>& list);

  /// The plain tensors, for steps that fuse several layers; the bias may be undefined.
  const at::Tensor& weight() const { return weight_; }
  const at::Tensor& bias() const { return bias_; }

 private:
  std::string name_;
  std::int64_t in_features_;
  std::int64_t out_features_;
  bool has_bias_;
  at::Tensor weight_;
  at::Tensor bias_;
};

}  // namespace tigerbot
