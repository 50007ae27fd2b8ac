#include "ops/quantized_linear.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/cpu/linear_kernels.h"
#include "ops/cpu/packed_product.h"
#include "ops/cpu/threads.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

using cpu::kPanelColumns;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

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

/// The input features in the order of their groups; where each group begins, padded to even; and
/// whether any of that differs from what it was.
struct FeatureOrder {
  std::vector<std::int64_t> place;  // the input feature of each place; in_features: padding
  std::vector<std::int32_t> group_words;
  bool identity = true;
};

FeatureOrder order_features(const std::int32_t* group_of, std::int64_t in, std::int64_t groups) {
  FeatureOrder order;
  std::vector<std::int64_t> features(static_cast<std::size_t>(in));
  std::iota(features.begin(), features.end(), 0);
  std::ranges::stable_sort(features, {}, [&](std::int64_t i) { return group_of[i]; });
  std::size_t next = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    order.group_words.push_back(static_cast<std::int32_t>(order.place.size() / 2));
    for (; next < features.size() && group_of[features[next]] == g; ++next) {
      order.place.push_back(features[next]);
    }
    if (order.place.size() % 2 != 0) order.place.push_back(in);
  }
  order.group_words.push_back(static_cast<std::int32_t>(order.place.size() / 2));
  order.identity =
      static_cast<std::int64_t>(order.place.size()) == in && std::ranges::is_sorted(order.place);
  return order;
}

/// rows [groups, out] as panels [panels, groups, 16], zeros where outputs end.
at::Tensor panels_of(const at::Tensor& rows) {
  const std::int64_t out = rows.size(1);
  const std::int64_t panels = (out + kPanelColumns - 1) / kPanelColumns;
  at::Tensor padded = at::zeros({rows.size(0), panels * kPanelColumns}, rows.options());
  padded.narrow(1, 0, out).copy_(rows);
  return padded.view({rows.size(0), panels, kPanelColumns}).transpose(0, 1).contiguous();
}

}  // namespace

QuantizedWeight::QuantizedWeight(const QuantizedParts& parts) : bits_(parts.bits) {
  if (bits_ != 3 && bits_ != 4 && bits_ != 8) {
    fail("quantized weight: {} bits; 3, 4 and 8 run here", bits_);
  }
  check_type("codes", parts.codes, at::kByte);
  check_type("scales", parts.scales, at::kHalf);
  check_type("zeros", parts.zeros, at::kShort);
  check_type("group_of", parts.group_of, at::kInt);
  check_shape("quantized weight", "codes", parts.codes, {-1, -1});
  out_features_ = parts.codes.size(0);
  in_features_ = parts.codes.size(1);
  check_shape("quantized weight", "scales", parts.scales, {-1, out_features_});
  const std::int64_t count = parts.scales.size(0);
  check_shape("quantized weight", "zeros", parts.zeros, {count, out_features_});
  check_shape("quantized weight", "group_of", parts.group_of, {in_features_});
  const at::Tensor codes = parts.codes.contiguous();
  const at::Tensor group_of = parts.group_of.contiguous();
  if (bits_ < 8) check_range<std::uint8_t>("codes", codes, 0, (1 << bits_) - 1);
  check_range<std::int16_t>("zeros", parts.zeros.contiguous(), 0, 1 << bits_);
  check_range<std::int32_t>("group_of", group_of, 0, static_cast<int>(count) - 1);
  if (!at::isfinite(parts.scales).all().item<bool>()) {
    fail("quantized weight: scales hold an infinity or NaN");
  }
  FeatureOrder order = order_features(group_of.const_data_ptr<std::int32_t>(), in_features_, count);
  group_words_ = std::move(order.group_words);
  scales_ = panels_of(parts.scales);
  zeros_ = panels_of(parts.zeros);
  if (!order.identity) {
    order_ = at::from_blob(order.place.data(), {static_cast<std::int64_t>(order.place.size())},
                           at::kLong)
                 .clone();
  }
  const bool nibbles = bits_ < 8;
  const std::int64_t pair_bytes = nibbles ? kPanelColumns : 2 * kPanelColumns;
  codes_ = at::zeros({panels(), words(), pair_bytes}, at::kByte);
  const auto* from = codes.const_data_ptr<std::uint8_t>();
  auto* to = codes_.mutable_data_ptr<std::uint8_t>();
  cpu::for_units(panels(), [&](std::int64_t panel) {
    const std::int64_t first = panel * kPanelColumns;
    const std::int64_t rows = std::min(kPanelColumns, out_features_ - first);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::uint8_t* row = from + (first + r) * in_features_;
      std::uint8_t* out = to + panel * words() * pair_bytes + r;
      for (std::int64_t k = 0; k < words(); ++k, out += pair_bytes) {
        std::uint8_t pair[2];
        for (int side = 0; side < 2; ++side) {
          const std::int64_t feature = order.place[static_cast<std::size_t>(2 * k + side)];
          pair[side] = feature < in_features_ ? row[feature] : std::uint8_t{0};
        }
        if (nibbles) {
          out[0] = static_cast<std::uint8_t>(pair[0] | pair[1] << 4);
        } else {
          out[0] = pair[0];
          out[kPanelColumns] = pair[1];
        }
      }
    }
  });
}

std::uint64_t QuantizedWeight::bytes() const {
  return codes_.nbytes() + scales_.nbytes() + zeros_.nbytes() +
         (order_.defined() ? order_.nbytes() : 0);
}

at::Tensor QuantizedWeight::dequantize_rows(std::int64_t first, std::int64_t count,
                                            at::ScalarType type) const {
  at::Tensor result = at::empty({count, in_features_}, at::kFloat);
  auto* out = result.mutable_data_ptr<float>();
  const auto* codes = codes_.const_data_ptr<std::uint8_t>();
  const auto* scales = scales_.const_data_ptr<at::Half>();
  const auto* zeros = zeros_.const_data_ptr<std::int16_t>();
  const std::int64_t* places = order_.defined() ? order_.const_data_ptr<std::int64_t>() : nullptr;
  const bool nibbles = bits_ < 8;
  const std::int64_t pair_bytes = codes_.size(2);
  cpu::for_units((count + kPanelColumns - 1) / kPanelColumns, [&](std::int64_t unit) {
    const std::int64_t panel = first / kPanelColumns + unit;
    const std::int64_t rows = std::min(kPanelColumns, count - unit * kPanelColumns);
    for (std::int64_t r = 0; r < rows; ++r) {
      float* row = out + (unit * kPanelColumns + r) * in_features_;
      for (std::int64_t g = 0; g < groups(); ++g) {
        const std::int64_t at = (panel * groups() + g) * kPanelColumns + r;
        const float scale = scales[at];
        const int zero = zeros[at];
        const std::int64_t end = group_words_[static_cast<std::size_t>(g + 1)];
        for (std::int64_t k = group_words_[static_cast<std::size_t>(g)]; k < end; ++k) {
          const std::uint8_t* pair = codes + (panel * words() + k) * pair_bytes + r;
          const int both[2] = {nibbles ? pair[0] & 15 : pair[0],
                               nibbles ? pair[0] >> 4 : pair[kPanelColumns]};
          for (int side = 0; side < 2; ++side) {
            const std::int64_t place = 2 * k + side;
            const std::int64_t feature = places ? places[place] : place;
            if (feature < in_features_) {
              row[feature] = scale * static_cast<float>(both[side] - zero);
            }
          }
        }
      }
    }
  });
  return result.to(type);
}

at::Tensor quantized_product(const at::Tensor& x, const QuantizedWeight& weight,
                             const at::Tensor& bias) {
  at::Tensor ordered = x.contiguous();
  if (weight.order_.defined()) {
    const at::Tensor padded = at::cat({ordered, at::zeros({x.size(0), 1}, x.options())}, 1);
    ordered = at::index_select(padded, 1, weight.order_);
  }
  const std::int64_t rows = x.size(0);
  const std::int64_t columns = weight.out_features();
  at::Tensor out = at::empty({rows, columns}, x.options());
  const at::Tensor wide_bias = bias.defined() ? bias.to(at::kFloat).contiguous() : at::Tensor();
  const auto element = static_cast<std::int64_t>(x.element_size());
  const std::int64_t x_words = weight.words() * 2 * element / 4;
  const cpu::LinearKernels& kernels = cpu::linear_kernels(x.scalar_type() == at::kBFloat16);
  const cpu::Partition partition(rows, weight.panels(), at::get_num_threads());
  cpu::for_units(partition.units(), [&](std::int64_t unit) {
    const cpu::ProductTile tile = partition.tile(unit);
    const auto* left = static_cast<const char*>(ordered.const_data_ptr()) + tile.row * x_words * 4;
    for (std::int64_t p = tile.panel; p < tile.panel_end; ++p) {
      const std::int64_t group = p * weight.groups() * kPanelColumns;
      cpu::QuantizedPanel panel;
      panel.codes =
          weight.codes_.const_data_ptr<std::uint8_t>() + p * weight.words() * weight.codes_.size(2);
      panel.scales =
          reinterpret_cast<const std::uint16_t*>(weight.scales_.const_data_ptr()) + group;
      panel.zeros = weight.zeros_.const_data_ptr<std::int16_t>() + group;
      panel.group_words = weight.group_words_.data();
      panel.groups = weight.groups();
      panel.nibbles = weight.bits() < 8;
      cpu::ProductOutput output;
      output.out =
          static_cast<char*>(out.data_ptr()) + (tile.row * columns + p * kPanelColumns) * element;
      output.stride = columns;
      output.columns = columns - p * kPanelColumns;
      if (bias.defined()) output.bias = wide_bias.const_data_ptr<float>() + p * kPanelColumns;
      kernels.multiply_quantized(left, x_words, tile.row_end - tile.row, panel, output);
    }
  });
  return out;
}

namespace {

/// Carries the weight from the forward pass to the backward one.
struct KeptWeight : torch::CustomClassHolder {
  explicit KeptWeight(QuantizedWeight given) : weight(std::move(given)) {}
  QuantizedWeight weight;
};

/// The weight is fixed: gradients reach x and the bias.
struct QuantizedLinear : torch::autograd::Function<QuantizedLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& bias,
                            const QuantizedWeight& weight) {
    ctx->saved_data["weight"] = at::IValue::make_capsule(c10::make_intrusive<KeptWeight>(weight));
    ctx->saved_data["bias_type"] =
        static_cast<std::int64_t>(bias.defined() ? bias.scalar_type() : x.scalar_type());
    return quantized_product(x, weight, bias);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto kept =
        c10::static_intrusive_pointer_cast<KeptWeight>(ctx->saved_data["weight"].toCapsule());
    const QuantizedWeight& weight = kept->weight;
    const at::Tensor& dy = gradients[0];
    at::Tensor dx, dbias;
    if (ctx->needs_input_grad(0)) {
      constexpr std::int64_t kRows = 512;  // of the weight, dequantized at once
      dx = at::zeros({dy.size(0), weight.in_features()}, dy.options().dtype(at::kFloat));
      for (std::int64_t first = 0; first < weight.out_features(); first += kRows) {
        const std::int64_t rows = std::min(kRows, weight.out_features() - first);
        const at::Tensor part = weight.dequantize_rows(first, rows, dy.scalar_type());
        dx += at::matmul(dy.narrow(1, first, rows), part);
      }
      dx = dx.to(dy.scalar_type());
    }
    if (ctx->needs_input_grad(1)) {
      const auto type = static_cast<at::ScalarType>(ctx->saved_data["bias_type"].toInt());
      dbias = dy.to(at::kFloat).sum(0).to(type);
    }
    return {dx, dbias, at::Tensor()};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const QuantizedWeight& weight, const at::Tensor& bias) {
  check_shape("quantized linear", "x", x, {-1, weight.in_features()});
  if (!takes_kernels(x)) {
    fail("quantized linear: x is {}; bfloat16 or float32 on the CPU is needed", describe(x));
  }
  if (bias.defined()) check_shape("quantized linear", "bias", bias, {weight.out_features()});
  const bool trains =
      at::GradMode::is_enabled() && (x.requires_grad() || (bias.defined() && bias.requires_grad()));
  return trains ? QuantizedLinear::apply(x, bias, weight) : quantized_product(x, weight, bias);
}

}  // namespace tigerbot::ops
