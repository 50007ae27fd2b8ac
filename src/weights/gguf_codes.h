#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/quantized_linear.h"
#include "weights/ggml_types.h"

/// GPTQ's integers as GGML's blocks, without rounding a weight a second time.
namespace tigerbot {

/// Whether a type holds the codes of this weight as they are. Groups must be in order, and:
///   Q4_0, d * (q - 8)   codes less zero from -8 to 7: symmetric 4 bits, and 3 bits
///   Q4_1, d * q + m     any 3 or 4 bits; m = -scale * zero is rounded to float16
///   Q8_0, d * q         codes less zero from -128 to 127
bool can_hold_codes(GgmlType type, const ops::QuantizedParts& parts);

/// Row `row` of the weight, block after block; can_hold_codes must say yes.
void write_blocks_of_codes(GgmlType type, const ops::QuantizedParts& parts, std::int64_t row,
                           std::byte* blocks);

}  // namespace tigerbot
