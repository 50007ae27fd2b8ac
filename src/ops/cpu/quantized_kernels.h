#pragma once

#include <cstdint>

#include "ops/cpu/linear_kernels.h"

/// The inner loops of products with quantized weights (ops/quantized_weight.h), one table of them
/// for each instruction set. Activations are rounded to 8 bits in blocks of 32 features, so that a
/// block's products are exact integers; a block with features far larger than the row's other
/// blocks have would lose the small ones, and gets a second term of 8 bits for what the first one
/// leaves. Blocks are then scaled and summed in float32 in order. An output's bits so depend on
/// nothing but its row, its weights and the instruction set.
namespace tigerbot::cpu {

/// Input features that share a scale of the activations.
inline constexpr std::int64_t kBlockFeatures = 32;
/// Blocks that a kernel unpacks and scales at once: 512 features, so that two panels of them stay
/// in the first-level cache.
inline constexpr std::int64_t kChunkBlocks = 16;
/// A block whose scale is this many times the row's typical one gets a second term. Measured on
/// SmolLM2-135M: docs/quantization.md.
inline constexpr float kCoarseBlock = 1.2F;
/// Rows of one call at most.
inline constexpr std::int64_t kQuantizedRows = 120;
/// Up to this many rows read the codes as they lie in memory; more share unpacked ones.
inline constexpr std::int64_t kQuantizedStreamRows = 8;

enum class ScaleKind {
  kHalf,   ///< a float16 for each group and output
  kSuper,  ///< a signed byte for each, times a float16 for each super-group
};

/// What is added to scale * code, or taken from the code before.
enum class OffsetKind {
  kMiddle,  ///< scale * (code - 8), or - 128 where a code is a byte: nothing is stored
  kZeros,   ///< scale * (code - zero), an int16 for each group and output
  kHalf,    ///< scale * code + a float16
  kSuper,   ///< scale * code - a byte times a float16 for each super-group
};

/// Sixteen output features. Their input features are counted in units of 16 or 32; a group is one
/// unit or several.
struct QuantizedPanel {
  /// Of each block of 32 features [4 or 8][64]: byte 4 * output + i of row q is feature 4 * q + i
  /// of the block; two codes a byte: its lower half is feature 8 * q + i, its upper half 4 more.
  const std::uint8_t* codes = nullptr;
  const std::int32_t* unit_groups = nullptr;  ///< the group of each unit
  const void* scales = nullptr;               ///< float16 or int8 [groups][16]
  const std::uint16_t* super_scales = nullptr;
  const void* offsets = nullptr;  ///< int16, float16 or uint8 [groups][16]
  const std::uint16_t* super_offsets = nullptr;
  std::int64_t groups_per_super = 1;
  ScaleKind scale_kind = ScaleKind::kHalf;
  OffsetKind offset_kind = OffsetKind::kMiddle;
  int unit = 32;
  bool nibbles = true;  ///< two codes a byte
};

/// What the sum of a unit's rounded activations is kept as, for the weights' offsets.
enum class Correction {
  kMiddle8,    ///< -8 * sum: what the integer products begin with
  kMiddle128,  ///< -128 * sum
  kScaledSum,  ///< scale * sum, as float32: times the offset it is what the offset adds
};

/// Rows of activations: x ~ scale * code, and the same of rest() where a block is present there.
/// Strides are between rows, in elements.
struct RoundedRows {
  std::int8_t* codes = nullptr;         ///< [blocks * 32], zeros past the last feature
  float* scales = nullptr;              ///< [blocks]
  std::int32_t* corrections = nullptr;  ///< [units]
  std::int64_t code_stride = 0;
  std::int64_t scale_stride = 0;
  std::int64_t correction_stride = 0;
  std::int64_t rest_bytes = 0;       ///< from each of the arrays to the second term's
  std::uint16_t* present = nullptr;  ///< [chunks]: bit b, whether block b of the chunk has a rest
  std::int64_t present_stride = 0;

  /// The second term, zeros where a block has none.
  RoundedRows rest() const {
    RoundedRows part = *this;
    part.codes += rest_bytes;
    part.scales += rest_bytes / 4;
    part.corrections += rest_bytes / 4;
    return part;
  }
  RoundedRows from(std::int64_t row) const {
    RoundedRows part = *this;
    part.codes += row * code_stride;
    part.scales += row * scale_stride;
    part.corrections += row * correction_stride;
    part.present += row * present_stride;
    return part;
  }
};

struct QuantizedKernels {
  /// Turns `features` bfloat16 numbers into one row's codes, scales and corrections, both terms.
  void (*round_row)(const std::uint16_t* x, std::int64_t features, Correction correction, int unit,
                    const RoundedRows& row);
  /// totals[r][16 * p + output] = rows of x (at most kQuantizedRows) times `count` (1 or 2) panels
  /// of `blocks` blocks; rows of totals are 32 floats. Two panels must agree in offset_kind, unit
  /// and nibbles.
  void (*multiply)(const RoundedRows& x, std::int64_t rows, const QuantizedPanel* panels, int count,
                   std::int64_t blocks, float* totals);
  /// The weights of units [first, end) as float32: [features of them][16 outputs].
  void (*dequantize)(const QuantizedPanel& panel, std::int64_t first, std::int64_t end, float* out);
};

/// The best kernels that this machine (and any limit on it) allows.
const QuantizedKernels& quantized_kernels();

extern const QuantizedKernels kQuantizedScalar;
#if defined(__x86_64__)
extern const QuantizedKernels kQuantizedAvx2;
extern const QuantizedKernels kQuantizedAvx512Vnni;
#endif

}  // namespace tigerbot::cpu
