#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/parameters.h"
#include "ops/fused_linear.h"
#include "ops/ops.h"

namespace tigerbot {

/// Root-mean-square norm with a learned scale (Zhang & Sennrich 2019).
class RmsNorm {
 public:
  RmsNorm(std::string name, std::int64_t features, double eps)
      : name_(std::move(name)), features_(features), eps_(eps) {}

  at::Tensor operator()(const at::Tensor& x) const { return ops::rms_norm(x, weight_, eps_); }

  /// (norm(x + residual), x + residual).
  std::pair<at::Tensor, at::Tensor> add(const at::Tensor& x, const at::Tensor& residual) const {
    return ops::rms_norm_residual(x, residual, weight_, eps_);
  }

  /// `normed`, which is this norm of `x`, for products that make it again in the backward pass.
  ops::NormedInput made_from(const at::Tensor& x, const at::Tensor& normed) const {
    return {normed, x, weight_, eps_};
  }

  void append_parameters(std::vector<Parameter>& list) {
    list.push_back({name_ + ".weight", {features_}, &weight_});
  }

  const at::Tensor& weight() const { return weight_; }
  double eps() const { return eps_; }

 private:
  std::string name_;
  std::int64_t features_;
  double eps_;
  at::Tensor weight_;
};

/// Layer norm with a learned scale and shift (Ba et al. 2016).
class LayerNorm {
 public:
  LayerNorm(std::string name, std::int64_t features, double eps)
      : name_(std::move(name)), features_(features), eps_(eps) {}

  at::Tensor operator()(const at::Tensor& x) const {
    return ops::layer_norm(x, weight_, bias_, eps_);
  }

  /// (norm(x + residual), x + residual).
  std::pair<at::Tensor, at::Tensor> add(const at::Tensor& x, const at::Tensor& residual) const {
    return ops::layer_norm_residual(x, residual, weight_, bias_, eps_);
  }

  void append_parameters(std::vector<Parameter>& list) {
    list.push_back({name_ + ".weight", {features_}, &weight_});
    list.push_back({name_ + ".bias", {features_}, &bias_});
  }

 private:
  std::string name_;
  std::int64_t features_;
  double eps_;
  at::Tensor weight_;
  at::Tensor bias_;
};

}  // namespace tigerbot
