#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

/// Dense products that share what they read, for training on a CPU: the same results as
/// ops::linear and ops::swiglu, in fewer passes and less memory.
namespace tigerbot::ops {

/// Where x is the RMSNorm of something that is kept anyway, it need not be kept as well: the
/// backward pass makes it again, to the same bits.
struct NormedInput {
  at::Tensor x;       ///< rms_norm(input, weight, eps)
  at::Tensor input;   ///< undefined: nothing is known of where x comes from, and x is kept
  at::Tensor weight;  ///< [features]
  double eps = 0;
};

/// x W^T for each of the weights [out_i, in], as parts of one product over all of their rows:
/// narrow products (a few key/value heads) reach a third of the speed of wide ones. x [tokens, in]
/// -> [tokens, out_i], views of one tensor. One product gives the gradient of x too, with no sums
/// of parts.
std::vector<at::Tensor> joined_linears(const NormedInput& x,
                                       const std::vector<at::Tensor>& weights);

/// x W^T for each of the weights, each in memory of its own. The gradients with respect to x are
/// added up inside the products.
std::vector<at::Tensor> parallel_linears(const NormedInput& x,
                                         const std::vector<at::Tensor>& weights);

/// swiglu(gate, up) W^T. What swiglu gives is made again in the backward pass, not kept. gate and
/// up [tokens, in], weight [out, in] -> [tokens, out].
at::Tensor swiglu_linear(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& weight);

}  // namespace tigerbot::ops
