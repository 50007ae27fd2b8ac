#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "ops/cpu/quantized_kernels.h"

/// Weights of 2 to 8 bits, packed for the CPU's kernels.
namespace tigerbot::ops {

/// Affine quantization by groups of input features; g = group_of[i] in
///
///     weight[o][i] = scale[g][o] * (codes[o][i] - zeros[g][o])      GPTQ, GGUF's Q4_0, Q8_0, Q6_K
///     weight[o][i] = scale[g][o] * codes[o][i] + offset[g][o]       GGUF's Q4_1, Q4_K, ...
///
/// A scale or offset is a float16 of its own, or a small integer times a float16 that
/// `groups_per_super` groups share (GGUF's K-quants).
struct QuantizedParts {
  int bits = 4;         ///< 2 to 8
  at::Tensor codes;     ///< uint8 [out_features, in_features], each below 2^bits
  at::Tensor scales;    ///< float16 [groups, out_features], finite; int8 with super_scales
  at::Tensor zeros;     ///< int16 [groups, out_features], from 0 to 2^bits; or undefined, and
  at::Tensor offsets;   ///< float16 [groups, out_features], finite; uint8 with super_offsets, which
                        ///< are subtracted
  at::Tensor group_of;  ///< int32 [in_features]: rises slowly, or in any order (activation order)
  at::Tensor super_scales;   ///< float16 [super-groups, out_features], finite, or undefined
  at::Tensor super_offsets;  ///< the same
  std::int64_t groups_per_super = 1;
};

/// What a weight asks of its rounded activations: products that agree in it share them.
struct InputForm {
  std::int64_t features = 0;
  std::int64_t blocks = 0;  ///< of 32 features
  cpu::Correction correction = cpu::Correction::kMiddle8;
  int unit = 32;
  const std::int32_t* order = nullptr;  ///< the feature at each place (features: none), or null

  bool operator==(const InputForm&) const = default;
  std::int64_t units() const { return blocks * (cpu::kBlockFeatures / unit); }
  /// Rounds a row of bfloat16.
  void round(const void* x, const cpu::RoundedRows& row) const;
};

/// A quantized weight [out_features, in_features] in panels of 16 output features
/// (cpu::QuantizedPanel): codes of up to 4 bits lie two in a byte, larger ones take a byte. Input
/// features are sorted by group and each group is padded to whole units, so that a group is one run
/// of the stream; products gather the activations in that order once. A value: copies share the
/// memory.
class QuantizedWeight {
 public:
  QuantizedWeight() = default;

  /// An Error if shapes or types do not fit, or a code, zero or group is out of range.
  explicit QuantizedWeight(const QuantizedParts& parts);

  bool defined() const { return codes_.defined(); }
  int bits() const { return bits_; }
  std::int64_t in_features() const { return in_features_; }
  std::int64_t out_features() const { return out_features_; }
  std::int64_t groups() const { return scales_.size(1); }
  std::int64_t panels() const { return (out_features_ + 15) / 16; }
  /// Of memory, scales and all.
  std::uint64_t bytes() const;

  /// Rows [first, first + count) as numbers of `type`, [count, in_features]; `first` is a multiple
  /// of 16. Made in float32, then rounded.
  at::Tensor dequantize_rows(std::int64_t first, std::int64_t count, at::ScalarType type) const;
  at::Tensor dequantize(at::ScalarType type) const {
    return dequantize_rows(0, out_features_, type);
  }

  /// For the kernels.
  InputForm input_form() const;
  std::int64_t blocks() const { return blocks_; }
  cpu::QuantizedPanel panel(std::int64_t index) const;

 private:
  void take_scales(const QuantizedParts& parts);
  void take_offsets(const QuantizedParts& parts);
  void pack_codes(const at::Tensor& codes, const std::vector<std::int32_t>& place);

  int bits_ = 0;
  bool nibbles_ = true;
  int unit_ = 32;
  std::int64_t in_features_ = 0;
  std::int64_t out_features_ = 0;
  std::int64_t blocks_ = 0;
  std::int64_t groups_per_super_ = 1;
  int shift_ = 0;  // added to codes, so that the zero of all is the middle
  cpu::ScaleKind scale_kind_ = cpu::ScaleKind::kHalf;
  cpu::OffsetKind offset_kind_ = cpu::OffsetKind::kMiddle;
  at::Tensor codes_;                         // uint8 [panels, blocks, 256 or 512]
  at::Tensor scales_, offsets_;              // [panels, groups, 16]; offsets undefined for kMiddle
  at::Tensor super_scales_, super_offsets_;  // [panels, super-groups, 16]
  at::Tensor unit_groups_;                   // int32 [units]
  at::Tensor order_;  // int32 [blocks * 32]: InputForm::order; undefined where that is as it is
};

/// Rows of `weight` as an embedding: ids int32 or int64 [tokens], each in range ->
/// [tokens, in_features] of `type`.
at::Tensor embedding(const at::Tensor& ids, const QuantizedWeight& weight, at::ScalarType type);

}  // namespace tigerbot::ops
