#include "ops/quantized_weight.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/cpu/threads.h"
#include "ops/quantized_product.h"

namespace tigerbot::ops {
namespace {

using cpu::kPanelColumns;

void check_type(const char* name, const at::Tensor& tensor, at::ScalarType type) {
  if (!tensor.defined() || tensor.scalar_type() != type || !tensor.device().is_cpu()) {
    fail("quantized weight: {} is {}; {} on the CPU is needed", name, describe(tensor),
         c10::toString(type));
  }
}

template <typename T>
void check_range(const char* name, const at::Tensor& tensor, int low, int high) {
  const auto* values = tensor.const_data_ptr<T>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    if (values[i] >= low && values[i] <= high) continue;
    fail("quantized weight: {} holds {}; it must be from {} to {}", name,
         static_cast<int>(values[i]), low, high);
  }
}

void check_finite(const char* name, const at::Tensor& tensor) {
  if (!at::isfinite(tensor).all().item<bool>()) {
    fail("quantized weight: {} hold an infinity or NaN", name);
  }
}

/// The input features in the order of their groups, each group padded to whole units.
struct FeatureOrder {
  int unit = 32;
  std::vector<std::int32_t> place;        // the feature of each place; in_features: padding
  std::vector<std::int32_t> unit_groups;  // the group of each unit, to whole blocks
};

FeatureOrder order_features(const std::int32_t* group_of, std::int64_t in, std::int64_t groups) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(groups), 0);
  for (std::int64_t i = 0; i < in; ++i) ++sizes[static_cast<std::size_t>(group_of[i])];
  FeatureOrder order;
  const bool thirties = std::ranges::all_of(sizes, [](std::int64_t n) { return n % 32 == 0; });
  const bool sixteens = std::ranges::all_of(sizes, [](std::int64_t n) { return n % 16 == 0; });
  if (!thirties && sixteens) order.unit = 16;
  std::vector<std::int32_t> features(static_cast<std::size_t>(in));
  std::iota(features.begin(), features.end(), 0);
  std::ranges::stable_sort(features, {}, [&](std::int32_t i) { return group_of[i]; });
  std::size_t next = 0;
  const auto padding = static_cast<std::int32_t>(in);
  for (std::int64_t g = 0; g < groups; ++g) {
    for (; next < features.size() && group_of[features[next]] == g; ++next) {
      if (order.place.size() % static_cast<std::size_t>(order.unit) == 0) {
        order.unit_groups.push_back(static_cast<std::int32_t>(g));
      }
      order.place.push_back(features[next]);
    }
    while (order.place.size() % static_cast<std::size_t>(order.unit) != 0) {
      order.place.push_back(padding);
    }
  }
  while (order.place.size() % cpu::kBlockFeatures != 0) {
    if (order.place.size() % static_cast<std::size_t>(order.unit) == 0) {
      order.unit_groups.push_back(0);
    }
    order.place.push_back(padding);
  }
  return order;
}

/// Whether the features are where they always were, padding at the end alone.
bool in_place(const std::vector<std::int32_t>& place, std::int64_t in) {
  for (std::size_t i = 0; i < place.size(); ++i) {
    if (place[i] != std::min(static_cast<std::int64_t>(i), in)) return false;
  }
  return true;
}

/// rows [groups, out] as panels [panels, groups, 16], zeros where outputs end.
at::Tensor panels_of(const at::Tensor& rows) {
  const std::int64_t out = rows.size(1);
  const std::int64_t panels = (out + kPanelColumns - 1) / kPanelColumns;
  at::Tensor padded = at::zeros({rows.size(0), panels * kPanelColumns}, rows.options());
  padded.narrow(1, 0, out).copy_(rows);
  return padded.view({rows.size(0), panels, kPanelColumns}).transpose(0, 1).contiguous();
}

at::Tensor int_tensor(const std::vector<std::int32_t>& values) {
  at::Tensor tensor = at::empty({std::ssize(values)}, at::kInt);
  std::ranges::copy(values, tensor.mutable_data_ptr<std::int32_t>());
  return tensor;
}

/// Checks what belongs to groups, or to groups_per_super of them.
void check_groups(const char* name, const at::Tensor& tensor, at::ScalarType type,
                  std::int64_t groups, std::int64_t out) {
  check_type(name, tensor, type);
  check_shape("quantized weight", name, tensor, {groups, out});
  if (type == at::kHalf) check_finite(name, tensor);
}

/// Panel `panel` of a tensor [panels, n, 16] of elements of `size` bytes.
const void* panel_of(const at::Tensor& tensor, std::int64_t panel) {
  if (!tensor.defined()) return nullptr;
  return static_cast<const char*>(tensor.const_data_ptr()) +
         panel * tensor.stride(0) * static_cast<std::int64_t>(tensor.element_size());
}

}  // namespace

void InputForm::round(const void* x, const cpu::RoundedRows& row) const {
  const cpu::QuantizedKernels& kernels = cpu::quantized_kernels();
  const auto* from = static_cast<const std::uint16_t*>(x);
  if (order == nullptr) {
    kernels.round_row(from, features, correction, unit, row);
    return;
  }
  std::vector<std::uint16_t> gathered(static_cast<std::size_t>(blocks * cpu::kBlockFeatures));
  for (std::size_t i = 0; i < gathered.size(); ++i) {
    gathered[i] = order[i] < features ? from[order[i]] : std::uint16_t{0};
  }
  kernels.round_row(gathered.data(), std::ssize(gathered), correction, unit, row);
}

QuantizedWeight::QuantizedWeight(const QuantizedParts& parts) : bits_(parts.bits) {
  if (bits_ < 2 || bits_ > 8) fail("quantized weight: {} bits; 2 to 8 run here", bits_);
  check_type("codes", parts.codes, at::kByte);
  check_type("group_of", parts.group_of, at::kInt);
  check_shape("quantized weight", "codes", parts.codes, {-1, -1});
  out_features_ = parts.codes.size(0);
  in_features_ = parts.codes.size(1);
  nibbles_ = bits_ <= 4;
  check_shape("quantized weight", "group_of", parts.group_of, {in_features_});
  take_scales(parts);
  take_offsets(parts);
  const at::Tensor codes = parts.codes.contiguous();
  const at::Tensor group_of = parts.group_of.contiguous();
  if (bits_ < 8) check_range<std::uint8_t>("codes", codes, 0, (1 << bits_) - 1);
  check_range<std::int32_t>("group_of", group_of, 0, static_cast<int>(groups()) - 1);
  const FeatureOrder order =
      order_features(group_of.const_data_ptr<std::int32_t>(), in_features_, groups());
  unit_ = order.unit;
  unit_groups_ = int_tensor(order.unit_groups);
  if (!in_place(order.place, in_features_)) order_ = int_tensor(order.place);
  blocks_ = std::ssize(order.place) / cpu::kBlockFeatures;
  pack_codes(codes, order.place);
}

void QuantizedWeight::take_scales(const QuantizedParts& parts) {
  const std::int64_t groups =
      parts.scales.defined() && parts.scales.dim() == 2 ? parts.scales.size(0) : std::int64_t{-1};
  groups_per_super_ = parts.groups_per_super;
  if (parts.super_scales.defined()) {
    if (groups_per_super_ < 1 || groups % groups_per_super_ != 0) {
      fail("quantized weight: {} groups by {}", groups, groups_per_super_);
    }
    scale_kind_ = cpu::ScaleKind::kSuper;
    check_groups("scales", parts.scales, at::kChar, groups, out_features_);
    check_groups("super_scales", parts.super_scales, at::kHalf, groups / groups_per_super_,
                 out_features_);
    super_scales_ = panels_of(parts.super_scales);
  } else {
    check_groups("scales", parts.scales, at::kHalf, groups, out_features_);
  }
  scales_ = panels_of(parts.scales);
}

void QuantizedWeight::take_offsets(const QuantizedParts& parts) {
  const std::int64_t groups = this->groups();
  if (parts.super_offsets.defined()) {
    offset_kind_ = cpu::OffsetKind::kSuper;
    check_groups("offsets", parts.offsets, at::kByte, groups, out_features_);
    check_groups("super_offsets", parts.super_offsets, at::kHalf, groups / groups_per_super_,
                 out_features_);
    super_offsets_ = panels_of(parts.super_offsets);
    offsets_ = panels_of(parts.offsets);
    return;
  }
  if (parts.offsets.defined()) {
    offset_kind_ = cpu::OffsetKind::kHalf;
    check_groups("offsets", parts.offsets, at::kHalf, groups, out_features_);
    offsets_ = panels_of(parts.offsets);
    return;
  }
  check_groups("zeros", parts.zeros, at::kShort, groups, out_features_);
  const at::Tensor zeros = parts.zeros.contiguous();
  check_range<std::int16_t>("zeros", zeros, 0, 1 << bits_);
  const auto* zero = zeros.const_data_ptr<std::int16_t>();
  const bool one_zero =
      std::all_of(zero, zero + zeros.numel(), [&](std::int16_t value) { return value == zero[0]; });
  const int middle = nibbles_ ? 8 : 128;
  const int shift = zeros.numel() > 0 ? middle - zero[0] : 0;
  if (one_zero && shift >= 0 && (1 << bits_) - 1 + shift < (nibbles_ ? 16 : 256)) {
    shift_ = shift;
    return;  // kMiddle
  }
  offset_kind_ = cpu::OffsetKind::kZeros;
  offsets_ = panels_of(zeros);
}

void QuantizedWeight::pack_codes(const at::Tensor& codes, const std::vector<std::int32_t>& place) {
  const std::int64_t block_bytes = nibbles_ ? 256 : 512;
  codes_ = at::empty({panels(), blocks_, block_bytes}, at::kByte);
  const auto* from = codes.const_data_ptr<std::uint8_t>();
  auto* to = codes_.mutable_data_ptr<std::uint8_t>();
  const auto shift = static_cast<std::uint8_t>(shift_);
  cpu::for_units(panels(), [&](std::int64_t panel) {
    const std::int64_t first = panel * kPanelColumns;
    std::uint8_t* out = to + panel * blocks_ * block_bytes;
    std::uint8_t block[cpu::kBlockFeatures][kPanelColumns];
    for (std::int64_t b = 0; b < blocks_; ++b, out += block_bytes) {
      std::memset(block, 0, sizeof(block));
      const std::int32_t* places = place.data() + b * cpu::kBlockFeatures;
      for (std::int64_t r = 0; r < std::min(kPanelColumns, out_features_ - first); ++r) {
        const std::uint8_t* row = from + (first + r) * in_features_;
        for (std::int64_t i = 0; i < cpu::kBlockFeatures; ++i) {
          if (places[i] < in_features_) {
            block[i][r] = static_cast<std::uint8_t>(row[places[i]] + shift);
          }
        }
      }
      for (std::int64_t i = 0; i < block_bytes; ++i) {
        const std::int64_t row = i / 64;
        const std::int64_t output = i % 64 / 4;
        const std::int64_t feature = (nibbles_ ? 8 : 4) * row + i % 4;
        out[i] = nibbles_ ? static_cast<std::uint8_t>(block[feature][output] |
                                                      block[feature + 4][output] << 4)
                          : block[feature][output];
      }
    }
  });
}

std::uint64_t QuantizedWeight::bytes() const {
  std::uint64_t total = 0;
  for (const at::Tensor* part :
       {&codes_, &scales_, &offsets_, &super_scales_, &super_offsets_, &unit_groups_, &order_}) {
    if (part->defined()) total += part->nbytes();
  }
  return total;
}

InputForm QuantizedWeight::input_form() const {
  InputForm form;
  form.features = in_features_;
  form.blocks = blocks_;
  form.unit = unit_;
  if (offset_kind_ != cpu::OffsetKind::kMiddle) {
    form.correction = cpu::Correction::kScaledSum;
  } else {
    form.correction = nibbles_ ? cpu::Correction::kMiddle8 : cpu::Correction::kMiddle128;
  }
  if (order_.defined()) form.order = order_.const_data_ptr<std::int32_t>();
  return form;
}

cpu::QuantizedPanel QuantizedWeight::panel(std::int64_t index) const {
  cpu::QuantizedPanel panel;
  panel.codes = static_cast<const std::uint8_t*>(panel_of(codes_, index));
  panel.unit_groups = unit_groups_.const_data_ptr<std::int32_t>();
  panel.scales = panel_of(scales_, index);
  panel.super_scales = static_cast<const std::uint16_t*>(panel_of(super_scales_, index));
  panel.offsets = panel_of(offsets_, index);
  panel.super_offsets = static_cast<const std::uint16_t*>(panel_of(super_offsets_, index));
  panel.groups_per_super = groups_per_super_;
  panel.scale_kind = scale_kind_;
  panel.offset_kind = offset_kind_;
  panel.unit = unit_;
  panel.nibbles = nibbles_;
  return panel;
}

namespace {

/// Rows [first, first + count) into out [count, in_features], each number as round(float) says.
template <class Element, class Round>
void write_rows(const QuantizedWeight& weight, std::int64_t first, std::int64_t count, Element* out,
                const Round& round) {
  constexpr std::int64_t kFeatures = cpu::kBlockFeatures;
  const InputForm form = weight.input_form();
  const std::int64_t in = form.features;
  const cpu::QuantizedKernels& kernels = cpu::quantized_kernels();
  cpu::for_units((count + kPanelColumns - 1) / kPanelColumns, [&](std::int64_t unit) {
    const std::int64_t rows = std::min(kPanelColumns, count - unit * kPanelColumns);
    const cpu::QuantizedPanel source = weight.panel(first / kPanelColumns + unit);
    Element* to = out + unit * kPanelColumns * in;
    alignas(64) float values[kFeatures * kPanelColumns];
    Element rounded[kFeatures * kPanelColumns];
    const std::int64_t units = kFeatures / form.unit;
    for (std::int64_t b = 0; b < form.blocks; ++b) {
      kernels.dequantize(source, b * units, (b + 1) * units, values);
      for (std::int64_t i = 0; i < kFeatures * kPanelColumns; ++i) rounded[i] = round(values[i]);
      const std::int64_t begin = b * kFeatures;
      if (form.order == nullptr) {
        const std::int64_t features = std::min(kFeatures, in - begin);
        for (std::int64_t r = 0; r < rows; ++r) {
          Element* row = to + r * in + begin;
          for (std::int64_t i = 0; i < features; ++i) row[i] = rounded[i * kPanelColumns + r];
        }
        continue;
      }
      for (std::int64_t i = 0; i < kFeatures; ++i) {
        const std::int64_t feature = form.order[begin + i];
        if (feature >= in) continue;
        for (std::int64_t r = 0; r < rows; ++r)
          to[r * in + feature] = rounded[i * kPanelColumns + r];
      }
    }
  });
}

}  // namespace

at::Tensor QuantizedWeight::dequantize_rows(std::int64_t first, std::int64_t count,
                                            at::ScalarType type) const {
  if (type == at::kBFloat16) {
    at::Tensor result = at::empty({count, in_features_}, at::kBFloat16);
    write_rows(*this, first, count, static_cast<std::uint16_t*>(result.data_ptr()),
               [](float value) { return nearest_bfloat16(value); });
    return result;
  }
  at::Tensor result = at::empty({count, in_features_}, at::kFloat);
  write_rows(*this, first, count, result.mutable_data_ptr<float>(),
             [](float value) { return value; });
  return result.to(type);
}

at::Tensor embedding(const at::Tensor& ids, const QuantizedWeight& weight, at::ScalarType type) {
  const at::Tensor wide = ids.to(at::kLong).contiguous();
  const auto* id = wide.const_data_ptr<std::int64_t>();
  const std::int64_t tokens = wide.numel();
  const std::int64_t features = weight.in_features();
  at::Tensor rows = at::empty({tokens, features}, at::kFloat);
  auto* out = rows.mutable_data_ptr<float>();
  const InputForm form = weight.input_form();
  const cpu::QuantizedKernels& kernels = cpu::quantized_kernels();
  for (std::int64_t t = 0; t < tokens; ++t) {
    if (id[t] < 0 || id[t] >= weight.out_features()) {
      fail("embedding: id {} of {} rows", id[t], weight.out_features());
    }
  }
  cpu::for_units(tokens, [&](std::int64_t t) {
    const cpu::QuantizedPanel panel = weight.panel(id[t] / kPanelColumns);
    const std::int64_t lane = id[t] % kPanelColumns;
    float values[cpu::kBlockFeatures * kPanelColumns];
    const std::int64_t units = cpu::kBlockFeatures / form.unit;
    for (std::int64_t b = 0; b < form.blocks; ++b) {
      kernels.dequantize(panel, b * units, (b + 1) * units, values);
      for (std::int64_t i = 0; i < cpu::kBlockFeatures; ++i) {
        const std::int64_t place = b * cpu::kBlockFeatures + i;
        const std::int64_t feature = form.order != nullptr ? form.order[place] : place;
        if (feature < features) out[t * features + feature] = values[i * kPanelColumns + lane];
      }
    }
  });
  return rows.to(type);
}

}  // namespace tigerbot::ops
