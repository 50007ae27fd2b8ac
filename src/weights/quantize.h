#pragma once

#include <cstddef>
#include <cstdint>

#include "weights/ggml_types.h"

namespace tigerbot {

/// Whether quantize() writes this type: F32, F16, BF16, Q8_0, Q4_0, Q4_1.
bool can_quantize(GgmlType type);

/// Rounds `count` floats (a whole number of blocks) to a GGML type, bit for bit as GGML's reference
/// routines (quantize_row_*_ref) do. Returns false if a value is not finite: no block can hold it.
bool quantize(GgmlType type, const float* values, std::int64_t count, std::byte* blocks);

}  // namespace tigerbot
