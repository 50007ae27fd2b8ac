#pragma once

#include <ATen/core/Tensor.h>

#include "ops/quantized_weight.h"

/// Products with quantized weights. Without gradients no whole copy of a weight in 16 bits ever
/// exists; with them one layer's does, while it is worked on.
namespace tigerbot::ops {

/// x weight^T + bias, with gradients of x and bias. x [tokens, in_features] bfloat16 or float32 on
/// the CPU, bias [out_features] or undefined -> [tokens, out_features].
///
/// bfloat16 without gradients (inference): x is rounded to 8 bits in blocks of 32 features, and
/// products are integers, scaled and summed in float32. Otherwise weights are turned into numbers
/// of x's type a panel (with gradients: a layer) at a time, and nothing else is rounded but the
/// result. Either way the bits of a row depend on the row, the weight and the instruction set
/// alone.
at::Tensor linear(const at::Tensor& x, const QuantizedWeight& weight, const at::Tensor& bias = {});

/// The same without gradients, x not rounded to 8 bits.
at::Tensor exact_product(const at::Tensor& x, const QuantizedWeight& weight,
                         const at::Tensor& bias = {});

}  // namespace tigerbot::ops
