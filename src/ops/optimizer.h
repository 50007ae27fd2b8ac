#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

/// What an optimizer does to every weight, fused: one pass over weight, gradient and state.
///
/// A bfloat16 weight has a float32 master. Its upper half, rounded to nearest (halves away from
/// zero), is the weight itself; the lower 16 bits stand in a second tensor, `low`. So a master
/// costs 2 bytes a weight, not 4.
namespace tigerbot::ops {

struct AdamW {
  double learning_rate = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-5;
  double weight_decay = 0;
  std::int64_t step = 1;      ///< from 1
  double gradient_scale = 1;  ///< multiplies the gradient: clipping
};

/// One step of AdamW (Loshchilov & Hutter 2019) in place, with PyTorch's formulas. weight bfloat16
/// or float32; low int16 like it for bfloat16, undefined for float32; moments float32 like it;
/// gradient of the weight's type or float32. All contiguous.
void adamw_step(const at::Tensor& weight, const at::Tensor& low, const at::Tensor& first_moment,
                const at::Tensor& second_moment, const at::Tensor& gradient, const AdamW& options);

/// The float32 masters of bfloat16 weights.
at::Tensor join_master(const at::Tensor& weight, const at::Tensor& low);

/// (weight, low) of float32 masters.
std::pair<at::Tensor, at::Tensor> split_master(const at::Tensor& master);

/// sum += x. sum float32, x bfloat16 or float32 of the same shape.
void accumulate(const at::Tensor& sum, const at::Tensor& x);

/// The sum of squares of all elements, the same bits whatever the number of threads.
double sum_of_squares(const at::Tensor& x);

}  // namespace tigerbot::ops
