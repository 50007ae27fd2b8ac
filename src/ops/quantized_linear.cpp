#include "ops/quantized_linear.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/cpu/threads.h"
#include "ops/ops.h"
#include "ops/quantized_product.h"
#include "ops/quantized_training.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

using cpu::kPanelColumns;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

WholeOutput output_of(const at::Tensor& out, const at::Tensor& wide_bias) {
  WholeOutput whole;
  whole.output.out = out.data_ptr();
  whole.output.stride = out.size(1);
  if (wide_bias.defined()) whole.output.bias = wide_bias.const_data_ptr<float>();
  whole.columns = out.size(1);
  whole.element_bytes = static_cast<std::int64_t>(out.element_size());
  whole.kernels = &cpu::linear_kernels(out.scalar_type() == at::kBFloat16);
  return whole;
}

/// x bfloat16, rounded to 8 bits.
at::Tensor rounded_product(const at::Tensor& x, const QuantizedWeight& weight,
                           const at::Tensor& bias) {
  const Recorded recorded("tigerbot::quantized_linear", static_cast<std::int64_t>(weight.bytes()));
  const at::Tensor whole = x.contiguous();
  const std::int64_t rows = x.size(0);
  at::Tensor out = at::empty({rows, weight.out_features()}, x.options());
  const at::Tensor wide_bias = bias.defined() ? bias.to(at::kFloat).contiguous() : at::Tensor();
  const InputForm form = weight.input_form();
  const RoundedBuffer buffer(form, rows);
  const at::Tensor memory = at::empty({buffer.bytes()}, at::kByte);
  const cpu::RoundedRows rounded =
      buffer.place(reinterpret_cast<std::byte*>(memory.mutable_data_ptr<std::uint8_t>()));
  const auto* from = static_cast<const char*>(whole.const_data_ptr());
  constexpr std::int64_t kRun = 16;
  cpu::for_units((rows + kRun - 1) / kRun, [&](std::int64_t run) {
    for (std::int64_t row = run * kRun; row < std::min(rows, (run + 1) * kRun); ++row) {
      form.round(from + row * 2 * weight.in_features(), rounded.from(row));
    }
  });
  const WholeOutput output = output_of(out, wide_bias);
  const int threads = at::get_num_threads();
  const QuantizedPartition partition(rows, weight.panels(), threads, std::int64_t{4} * threads);
  cpu::for_units(partition.units(), [&](std::int64_t unit) {
    multiply_tile(weight, rounded, partition.tile(unit), output);
  });
  return out;
}

/// A panel as numbers, laid out as PackedWeight does: [in][16] float32 or [in / 2][16][2] bfloat16.
void expand_panel(const QuantizedWeight& weight, std::int64_t index, bool bfloat16, char* out) {
  const cpu::QuantizedKernels& kernels = cpu::quantized_kernels();
  const cpu::QuantizedPanel panel = weight.panel(index);
  const InputForm form = weight.input_form();
  alignas(64) float values[cpu::kBlockFeatures * kPanelColumns];
  const std::int64_t units = cpu::kBlockFeatures / form.unit;
  for (std::int64_t b = 0; b < form.blocks; ++b) {
    kernels.dequantize(panel, b * units, (b + 1) * units, values);
    for (std::int64_t i = 0; i < cpu::kBlockFeatures; ++i) {
      const std::int64_t place = b * cpu::kBlockFeatures + i;
      const std::int64_t feature = form.order != nullptr ? form.order[place] : place;
      if (feature >= form.features) continue;
      const float* from = values + i * kPanelColumns;
      if (!bfloat16) {
        std::memcpy(out + feature * 64, from, 64);
        continue;
      }
      auto* to = reinterpret_cast<std::uint16_t*>(out + feature / 2 * 64) + feature % 2;
      for (std::int64_t r = 0; r < kPanelColumns; ++r) to[2 * r] = nearest_bfloat16(from[r]);
    }
  }
}

}  // namespace

at::Tensor exact_product(const at::Tensor& x, const QuantizedWeight& weight,
                         const at::Tensor& bias) {
  const bool bfloat16 = x.scalar_type() == at::kBFloat16;
  const std::int64_t rows = x.size(0);
  at::Tensor whole = x.contiguous();
  if (bfloat16 && x.size(1) % 2 != 0) {
    whole = at::zeros({rows, x.size(1) + 1}, x.options());
    whole.narrow(1, 0, x.size(1)).copy_(x);
  }
  at::Tensor out = at::empty({rows, weight.out_features()}, x.options());
  const at::Tensor wide_bias = bias.defined() ? bias.to(at::kFloat).contiguous() : at::Tensor();
  const WholeOutput output = output_of(out, wide_bias);
  const std::int64_t words = bfloat16 ? (x.size(1) + 1) / 2 : x.size(1);
  const cpu::PanelLayout layout{64, 64 * words};
  const std::int64_t runs =
      std::min<std::int64_t>(weight.panels(), std::int64_t{4} * at::get_num_threads());
  cpu::for_units(runs, [&](std::int64_t run) {
    std::vector<char> panel(static_cast<std::size_t>(64 * words), 0);
    for (std::int64_t p = run * weight.panels() / runs; p < (run + 1) * weight.panels() / runs;
         ++p) {
      expand_panel(weight, p, bfloat16, panel.data());
      output.kernels->multiply(whole.const_data_ptr(), words, rows, panel.data(), layout, words, 1,
                               output.at(0, p * kPanelColumns));
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

/// The weight is fixed: gradients reach x and the bias, and nothing of the weight's numbers is kept
/// for the backward pass, which makes them again.
struct QuantizedLinear : torch::autograd::Function<QuantizedLinear> {
  /// Autograd takes no undefined tensor, but an optional one.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x,
                            const std::optional<at::Tensor>& given, const QuantizedWeight& weight) {
    const at::Tensor bias = given.value_or(at::Tensor());
    ctx->saved_data["weight"] = at::IValue::make_capsule(c10::make_intrusive<KeptWeight>(weight));
    ctx->saved_data["has_bias"] = bias.defined();
    ctx->saved_data["bias_type"] =
        static_cast<std::int64_t>(bias.defined() ? bias.scalar_type() : x.scalar_type());
    return training_product(x, weight, bias, rows_at_once(weight));
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto kept =
        c10::static_intrusive_pointer_cast<KeptWeight>(ctx->saved_data["weight"].toCapsule());
    const at::Tensor& dy = gradients[0];
    at::Tensor dx, dbias;
    if (ctx->needs_input_grad(0)) {
      dx = input_gradient(dy, kept->weight, rows_at_once(kept->weight));
    }
    if (ctx->saved_data["has_bias"].toBool() && ctx->needs_input_grad(1)) {
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
  if (at::GradMode::is_enabled()) {
    const bool trains = x.requires_grad() || (bias.defined() && bias.requires_grad());
    const auto given = bias.defined() ? std::optional(bias) : std::nullopt;
    return trains ? QuantizedLinear::apply(x, given, weight)
                  : training_product(x, weight, bias, rows_at_once(weight));
  }
  return x.scalar_type() == at::kBFloat16 ? rounded_product(x, weight, bias)
                                          : exact_product(x, weight, bias);
}

}  // namespace tigerbot::ops
