#include "ops/linear.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "ops/checks.h"
#include "ops/cpu/linear_kernels.h"
#include "ops/cpu/packed_product.h"
#include "ops/cpu/threads.h"
#include "ops/ops.h"
#include "ops/recorded.h"

namespace tigerbot::ops {
namespace {

using cpu::kPanelColumns;

/// Elements of one 32-bit word.
std::int64_t elements_per_word(at::ScalarType type) { return type == at::kBFloat16 ? 2 : 1; }

/// A copy of x [rows, odd] with a zero at the end of each row, so that rows are whole words.
at::Tensor whole_words(const at::Tensor& x) {
  at::Tensor padded = at::zeros({x.size(0), x.size(1) + 1}, x.options());
  padded.narrow(1, 0, x.size(1)).copy_(x);
  return padded;
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

std::int64_t PackedWeight::words() const {
  const std::int64_t elements = elements_per_word(data_.scalar_type());
  return (in_features_ + elements - 1) / elements;
}

PackedWeight::PackedWeight(const at::Tensor& weight) {
  check_shape("packed weight", "weight", weight, {-1, -1});
  if (!takes_kernels(weight)) {
    fail("packed weight: weight is {}; bfloat16 or float32 on the CPU is needed", describe(weight));
  }
  out_features_ = weight.size(0);
  in_features_ = weight.size(1);
  const std::int64_t elements = elements_per_word(weight.scalar_type());
  const std::int64_t words = (in_features_ + elements - 1) / elements;
  data_ = at::empty({panels() * words * kPanelColumns * elements}, weight.options());
  const at::Tensor plain = in_features_ % elements == 0 ? weight.contiguous() : whole_words(weight);

  const auto* from = static_cast<const char*>(plain.const_data_ptr());
  auto* to = static_cast<char*>(data_.data_ptr());
  const std::int64_t panel_bytes = words * 4 * kPanelColumns;
  cpu::for_units(panels(), [&](std::int64_t panel) {
    char* out = to + panel * panel_bytes;
    const std::int64_t first = panel * kPanelColumns;
    const std::int64_t rows = std::min(kPanelColumns, out_features_ - first);
    if (rows < kPanelColumns) std::memset(out, 0, static_cast<std::size_t>(panel_bytes));
    const char* in = from + first * words * 4;
    constexpr std::int64_t kBlock = 16;  // words: a cache line of each row at a time
    for (std::int64_t k = 0; k < words; k += kBlock) {
      const std::int64_t last = std::min(words, k + kBlock);
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t w = k; w < last; ++w) {
          std::memcpy(out + (w * kPanelColumns + r) * 4, in + (r * words + w) * 4, 4);
        }
      }
    }
  });
}

at::Tensor PackedWeight::unpack() const {
  const std::int64_t elements = elements_per_word(data_.scalar_type());
  at::Tensor plain = at::empty({out_features_, words() * elements}, data_.options());
  const auto* from = static_cast<const char*>(data_.const_data_ptr());
  auto* to = static_cast<char*>(plain.data_ptr());
  const std::int64_t row_words = words();
  cpu::for_units(panels(), [&](std::int64_t panel) {
    const std::int64_t first = panel * kPanelColumns;
    const std::int64_t rows = std::min(kPanelColumns, out_features_ - first);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t w = 0; w < row_words; ++w) {
        std::memcpy(to + ((first + r) * row_words + w) * 4,
                    from + ((panel * row_words + w) * kPanelColumns + r) * 4, 4);
      }
    }
  });
  return plain.narrow(1, 0, in_features_).contiguous();
}

at::Tensor linear(const at::Tensor& x, const PackedWeight& weight, const at::Tensor& bias) {
  check_shape("linear", "x", x, {-1, weight.in_features()});
  if (!takes_kernels(x) || x.scalar_type() != weight.scalar_type()) {
    fail("linear: x is {} but the packed weight is {} on the CPU", describe(x),
         c10::toString(weight.scalar_type()));
  }
  const std::int64_t rows = x.size(0);
  const std::int64_t columns = weight.out_features();
  const Recorded recorded("tigerbot::packed_linear",
                          weight.panels() * kPanelColumns * weight.words() * 4);
  if (bias.defined()) check_shape("linear", "bias", bias, {columns});
  at::Tensor out = at::empty({rows, columns}, x.options());
  const std::int64_t elements = elements_per_word(x.scalar_type());
  const at::Tensor whole = weight.in_features() % elements == 0 ? x.contiguous() : whole_words(x);
  const at::Tensor wide_bias = bias.defined() ? bias.to(at::kFloat).contiguous() : at::Tensor();
  const float* bias_data = wide_bias.defined() ? wide_bias.const_data_ptr<float>() : nullptr;

  const bool bfloat16 = x.scalar_type() == at::kBFloat16;
  const cpu::LinearKernels& kernels = cpu::linear_kernels(bfloat16);
  const cpu::PackedProduct product{&kernels, static_cast<const char*>(weight.data()),
                                   weight.words(), columns, x.element_size()};
  cpu::ProductOutput output;
  output.out = out.data_ptr();
  output.stride = columns;
  output.bias = bias_data;
  const cpu::Partition partition(rows, weight.panels(), at::get_num_threads());
  cpu::for_units(partition.units(), [&](std::int64_t unit) {
    product.run(whole.const_data_ptr(), weight.words(), partition.tile(unit), output);
  });
  return out;
}

}  // namespace tigerbot::ops
