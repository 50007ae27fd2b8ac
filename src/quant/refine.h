#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "ops/quantized_linear.h"

namespace tigerbot::quant {

/// Lowers e^T H e, e the error of a row, from where GPTQ leaves it: GPTQ never comes back to a
/// column that it has rounded. Each pass goes over the groups; in each, every code moves to the
/// best point of its grid while the others stand (coordinate descent), then the scale to its best
/// value. The error never rises.
///
/// weights float32 [rows, in] are rows [first, first + rows) of the layer, hessian float32 [in,
/// in]; their columns, and those of parts.codes, are in runs of a group each, whose place in scales
/// and zeros is group_ids[run].
void refine_rows(const at::Tensor& weights, const at::Tensor& hessian,
                 const std::vector<std::int64_t>& group_ids, int passes, std::int64_t first,
                 const ops::QuantizedParts& parts);

}  // namespace tigerbot::quant
