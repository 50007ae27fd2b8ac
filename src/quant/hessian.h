#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tigerbot::quant {

/// The sum of x^T x over calibration activations: how much an error in each pair of weights of a
/// row matters to the layer's output. Twice this is the Hessian of the squared output error.
class Hessian {
 public:
  explicit Hessian(std::int64_t in_features);

  /// x [tokens, in_features], of any floating type. The same bits whatever the number of threads.
  void add(const at::Tensor& x);

  std::int64_t tokens() const { return tokens_; }
  /// float64 [in_features, in_features], symmetric.
  at::Tensor matrix() const;

 private:
  at::Tensor sum_;  // float64; tiles on and above the diagonal
  std::int64_t tokens_ = 0;
};

}  // namespace tigerbot::quant
