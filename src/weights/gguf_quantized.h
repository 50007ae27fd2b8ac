#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "ops/quantized_weight.h"
#include "weights/ggml_types.h"

namespace tigerbot {

/// Whether ggml_parts() takes a type: Q4_0 to Q8_0 and Q2_K to Q6_K.
bool has_ggml_parts(GgmlType type);

/// A matrix of a quantized GGML type, codes and scales as they are: the numbers that
/// weights/dequantize.h makes of it. `in` is a whole number of blocks; `row_at` gives the stored
/// row that becomes row o.
ops::QuantizedParts ggml_parts(GgmlType type, const std::byte* blocks, std::int64_t out,
                               std::int64_t in,
                               const std::function<std::int64_t(std::int64_t)>& row_at);

}  // namespace tigerbot
