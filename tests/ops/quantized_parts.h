#pragma once

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "ops/quantized_weight.h"

/// Random quantized weights, and their values as the definition says them.
namespace tigerbot {

enum class Groups { kInOrder, kShuffled };

/// Scales with zeros and groups of `group` input features, the last one shorter where they do not
/// divide `in`.
inline ops::QuantizedParts random_parts(int bits, std::int64_t out, std::int64_t in,
                                        std::int64_t group, Groups kind = Groups::kInOrder) {
  const std::int64_t groups = (in + group - 1) / group;
  ops::QuantizedParts parts;
  parts.bits = bits;
  parts.codes = at::randint(1 << bits, {out, in}, at::kLong).to(at::kByte);
  parts.scales = (at::rand({groups, out}) * 0.1 + 0.01).to(at::kHalf);
  parts.scales[0][0] = 1e-6;   // a subnormal
  parts.scales[0][1] = -0.03;  // GGUF has negative ones
  parts.zeros = at::randint((1 << bits) + 1, {groups, out}, at::kLong).to(at::kShort);
  at::Tensor order = at::arange(in, at::kLong);
  if (kind == Groups::kShuffled) order = at::randperm(in, at::kLong);
  parts.group_of = order.div(group, "floor").to(at::kInt);
  return parts;
}

/// One zero for all, as symmetric formats have it.
inline ops::QuantizedParts symmetric_parts(int bits, std::int64_t out, std::int64_t in,
                                           std::int64_t group, Groups kind = Groups::kInOrder) {
  ops::QuantizedParts parts = random_parts(bits, out, in, group, kind);
  parts.zeros.fill_(1 << (bits - 1));
  return parts;
}

/// A float16 offset, as Q4_1 and Q5_1 have it.
inline ops::QuantizedParts offset_parts(int bits, std::int64_t out, std::int64_t in,
                                        std::int64_t group) {
  ops::QuantizedParts parts = random_parts(bits, out, in, group);
  parts.zeros = at::Tensor();
  parts.offsets = (at::randn(parts.scales.sizes()) * 0.2).to(at::kHalf);
  return parts;
}

/// Small scales, and minimums where asked, times float16 of 256 features, as K-quants have them.
inline ops::QuantizedParts super_parts(int bits, std::int64_t out, std::int64_t in,
                                       std::int64_t group, bool minimums) {
  ops::QuantizedParts parts = symmetric_parts(bits, out, in, group);
  parts.groups_per_super = 256 / group;
  const std::int64_t groups = in / group;
  const std::int64_t supers = groups / parts.groups_per_super;
  parts.scales = at::randint(-128, 128, {groups, out}, at::kLong).to(at::kChar);
  parts.super_scales = (at::rand({supers, out}) * 1e-3).to(at::kHalf);
  if (minimums) {
    parts.zeros = at::Tensor();
    parts.offsets = at::randint(256, {groups, out}, at::kLong).to(at::kByte);
    parts.super_offsets = (at::rand({supers, out}) * 2e-3).to(at::kHalf);
  }
  return parts;
}

/// The weight in float64, as QuantizedParts defines it.
inline at::Tensor plain_weight(const ops::QuantizedParts& parts) {
  const at::Tensor groups = parts.group_of.to(at::kLong);
  const auto spread = [&](const at::Tensor& rows, std::int64_t share) {
    return rows.to(at::kDouble).index_select(0, groups.div(share, "floor")).t();
  };
  at::Tensor scales = spread(parts.scales, 1);
  if (parts.super_scales.defined()) {
    scales = scales * spread(parts.super_scales, parts.groups_per_super);
  }
  const at::Tensor codes = parts.codes.to(at::kDouble);
  if (parts.zeros.defined()) return scales * (codes - spread(parts.zeros, 1));
  at::Tensor offsets = spread(parts.offsets, 1);
  if (parts.super_offsets.defined()) {
    offsets = -offsets * spread(parts.super_offsets, parts.groups_per_super);
  }
  return scales * codes + offsets;
}

/// The number halfway in the patterns of bits between those that are not 0.
inline float typical(const std::vector<float>& scales) {
  std::int64_t sum = 0, used = 0;
  for (const float scale : scales) {
    sum += std::bit_cast<std::int32_t>(scale);
    used += scale != 0;
  }
  return std::bit_cast<float>(static_cast<std::int32_t>(used == 0 ? 0 : sum / used));
}

/// x [rows, in] rounded to 8 bits in blocks of 32 of the features in order (each group padded to
/// whole units), twice where a block's scale is cpu::kCoarseBlock times the row's typical one; in
/// float64.
inline at::Tensor rounded_activations(const at::Tensor& x, const ops::InputForm& form) {
  const at::Tensor wide = x.to(at::kFloat);
  at::Tensor rounded = at::zeros(x.sizes(), at::kDouble);
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    const float* from = wide.const_data_ptr<float>() + row * x.size(1);
    double* to = rounded.mutable_data_ptr<double>() + row * x.size(1);
    const auto each = [&](std::int64_t b, const auto& fn) {
      for (std::int64_t i = 32 * b; i < 32 * b + 32; ++i) {
        const std::int64_t feature = form.order != nullptr ? form.order[i] : i;
        if (feature < x.size(1)) fn(feature);
      }
    };
    const auto add_term = [&](std::int64_t b) {
      const auto left = [&](std::int64_t i) { return static_cast<float>(from[i] - to[i]); };
      float largest = 0;
      each(b, [&](std::int64_t i) { largest = std::max(largest, std::fabs(left(i))); });
      const float scale = largest * (1.0F / 127.0F);
      each(b, [&](std::int64_t i) {
        const float code = largest > 0 ? std::nearbyint(left(i) * (127.0F / largest)) : 0.0F;
        to[i] += static_cast<double>(scale) * static_cast<double>(code);
      });
      return scale;
    };
    std::vector<float> scales;
    for (std::int64_t b = 0; b < form.blocks; ++b) scales.push_back(add_term(b));
    for (std::int64_t b = 0; b < form.blocks; ++b) {
      if (scales[static_cast<std::size_t>(b)] > cpu::kCoarseBlock * typical(scales)) add_term(b);
    }
  }
  return rounded;
}

inline double largest_error(const at::Tensor& y, const at::Tensor& expected) {
  const at::Tensor scale = expected.abs().mean();
  return ((y.to(at::kDouble) - expected).abs() / (expected.abs() + scale)).max().item<double>();
}

}  // namespace tigerbot
