#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

/// Products with weights of 3, 4 or 8 bits that are turned into numbers only where a kernel needs
/// them, a few hundred at a time: no whole copy of the weight in 16 bits ever exists.
namespace tigerbot::ops {

class QuantizedWeight;
/// The product without gradients; linear() is what callers want.
at::Tensor quantized_product(const at::Tensor& x, const QuantizedWeight& weight,
                             const at::Tensor& bias);

/// Affine quantization by groups of input features, in the terms of the GPTQ format:
/// weight[o][i] = scales[g][o] * (codes[o][i] - zeros[g][o]), where g = groups[i].
struct QuantizedParts {
  int bits = 4;         ///< 3, 4 or 8
  at::Tensor codes;     ///< uint8 [out_features, in_features], each below 2^bits
  at::Tensor scales;    ///< float16 [groups, out_features], finite
  at::Tensor zeros;     ///< int16 [groups, out_features], from 0 to 2^bits
  at::Tensor group_of;  ///< int32 [in_features]: rises slowly, or in any order (activation order)
};

/// A quantized weight [out_features, in_features], packed for the CPU's kernels: panels of 16
/// output features; in a panel, for each pair of input features, 16 bytes of two 4-bit codes
/// (3-bit codes take 4 bits in memory) or 32 bytes of 8-bit codes. Input features are sorted by
/// group, each group padded to whole pairs, so that a group is one run of the stream. A value:
/// copies share the memory.
class QuantizedWeight {
 public:
  QuantizedWeight() = default;

  /// An Error if shapes or types do not fit, or a code, zero or group is out of range.
  explicit QuantizedWeight(const QuantizedParts& parts);

  bool defined() const { return codes_.defined(); }
  int bits() const { return bits_; }
  std::int64_t in_features() const { return in_features_; }
  std::int64_t out_features() const { return out_features_; }
  std::int64_t groups() const { return static_cast<std::int64_t>(group_words_.size()) - 1; }
  std::int64_t panels() const { return (out_features_ + 15) / 16; }
  /// Of memory, scales and all.
  std::uint64_t bytes() const;

  /// Rows [first, first + count) as numbers of `type`, [count, in_features]; `first` is a multiple
  /// of 16. Made in float32, then rounded.
  at::Tensor dequantize_rows(std::int64_t first, std::int64_t count, at::ScalarType type) const;
  at::Tensor dequantize(at::ScalarType type) const {
    return dequantize_rows(0, out_features_, type);
  }

 private:
  friend at::Tensor quantized_product(const at::Tensor&, const QuantizedWeight&, const at::Tensor&);
  std::int64_t words() const { return group_words_.back(); }

  int bits_ = 0;
  std::int64_t in_features_ = 0;
  std::int64_t out_features_ = 0;
  std::vector<std::int32_t> group_words_;  // where each group's pairs begin, and the end
  at::Tensor codes_;                       // uint8 [panels, words, 16 or 32]
  at::Tensor scales_;                      // float16 [panels, groups, 16]
  at::Tensor zeros_;                       // int16 [panels, groups, 16]
  at::Tensor order_;  // int64 [2 * words]: the input feature at each place, in_features where it is
                      // padding; undefined where that is as it is
};

/// x weight^T + bias, with gradients of x and bias. x [tokens, in_features] bfloat16 or float32 on
/// the CPU, bias [out_features] or undefined -> [tokens, out_features]. Codes less zero are exact
/// in bfloat16; sums within a group are float32, then scaled: nothing is rounded but the result.
/// The bits of a row depend on the row, the weight and the instruction set alone.
at::Tensor linear(const at::Tensor& x, const QuantizedWeight& weight, const at::Tensor& bias = {});

}  // namespace tigerbot::ops
