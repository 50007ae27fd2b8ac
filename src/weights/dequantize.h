#pragma once

#include <cstddef>
#include <cstdint>

#include "weights/ggml_types.h"

namespace tigerbot {

/// Turns `count` elements of a GGML type (a whole number of blocks) into floats, bit for bit as
/// GGML's reference does. `type` must be readable. `blocks` needs no alignment.
void dequantize(GgmlType type, const std::byte* blocks, std::int64_t count, float* values);

/// Rounds to nearest even; a NaN stays a quiet NaN.
void float_to_bfloat16(const float* values, std::int64_t count, std::uint16_t* halves);
/// Rounds to nearest even (IEEE 754 binary16).
void float_to_float16(const float* values, std::int64_t count, std::uint16_t* halves);
float float16_to_float(std::uint16_t half);

}  // namespace tigerbot
