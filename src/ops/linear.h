#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

/// Dense products with weights laid out for this processor's vectors.
namespace tigerbot::ops {

/// A weight [out_features, in_features] in panels of 16 output features, so that one vector holds
/// the same input feature (float32) or pair of input features (bfloat16) of 16 outputs:
/// [out / 16][in][16] or [out / 16][in / 2][16][2], padded with zeros. Products then need no sums
/// across lanes, one row reads the weights as one straight stream, and every sum runs over the
/// input features in order whatever the number of rows: the same row gives the same bits alone or
/// among hundreds. The copy lies in huge pages where the kernel grants them, which a file's map
/// cannot: a quarter to a third more memory bandwidth.
class PackedWeight {
 public:
  PackedWeight() = default;

  /// weight [out, in], bfloat16 or float32, on the CPU.
  explicit PackedWeight(const at::Tensor& weight);

  bool defined() const { return data_.defined(); }
  std::int64_t in_features() const { return in_features_; }
  std::int64_t out_features() const { return out_features_; }
  at::ScalarType scalar_type() const { return data_.scalar_type(); }
  std::int64_t panels() const { return (out_features_ + 15) / 16; }
  /// 32-bit words of one output feature: its input features (float32) or pairs of them (bfloat16).
  std::int64_t words() const;
  const void* data() const { return data_.const_data_ptr(); }

  /// The plain weight [out, in] again.
  at::Tensor unpack() const;

 private:
  at::Tensor data_;
  std::int64_t in_features_ = 0;
  std::int64_t out_features_ = 0;
};

/// x weight^T + bias without gradients. x [tokens, in] of the weight's type, bias [out] or
/// undefined -> [tokens, out].
at::Tensor linear(const at::Tensor& x, const PackedWeight& weight, const at::Tensor& bias = {});

}  // namespace tigerbot::ops
