#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/quantized_weight.h"

/// What ops::linear runs where gradients go through a quantized weight: ATen's products, which are
/// the faster ones for the many rows that training has, with numbers made of a part of the weight
/// at a time.
namespace tigerbot::ops {

/// Rows of a weight that become numbers at once: all of most layers (64 MiB in bfloat16 hold
/// 2048 x 16384), so that each is one product. A multiple of 16, or all.
std::int64_t rows_at_once(const QuantizedWeight& weight);

/// x weight^T + bias, without gradients. x [tokens, in_features] bfloat16 or float32.
at::Tensor training_product(const at::Tensor& x, const QuantizedWeight& weight,
                            const at::Tensor& bias, std::int64_t rows_at_once);

/// dy weight, the gradient of x. dy [tokens, out_features] -> [tokens, in_features], like dy. Parts
/// are summed in float32.
at::Tensor input_gradient(const at::Tensor& dy, const QuantizedWeight& weight,
                          std::int64_t rows_at_once);

}  // namespace tigerbot::ops
