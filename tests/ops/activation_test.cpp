#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/numeric.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

Tensors swiglu_of(const Tensors& in) { return {swiglu(in[0], in[1])}; }
Tensors exact(const Tensors& in) { return {gelu(in[0], Gelu::kExact)}; }
Tensors tanh_form(const Tensors& in) { return {gelu(in[0], Gelu::kTanh)}; }

double exact_gelu(double x) { return x * std::erfc(-x / std::sqrt(2.0)) / 2; }

TEST(Activation, Float64EqualsTheFormulas) {
  const at::Tensor x = random_tensor({50}, 1, 3.0);
  const at::Tensor up = random_tensor({50}, 2);
  const at::Tensor gated = swiglu(x, up);
  const at::Tensor erf_form = gelu(x, Gelu::kExact);
  const at::Tensor approximate = gelu(x, Gelu::kTanh);
  for (std::int64_t i = 0; i < 50; ++i) {
    const double v = x[i].item<double>();
    const double u = std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v);
    EXPECT_NEAR(gated[i].item<double>(), v / (1 + std::exp(-v)) * up[i].item<double>(), 1e-12);
    EXPECT_NEAR(erf_form[i].item<double>(), exact_gelu(v), 1e-12);
    EXPECT_NEAR(approximate[i].item<double>(), v / 2 * (1 + std::tanh(u)), 1e-12);
  }
}

TEST(Activation, GradientsMatchDifferences) {
  const at::Tensor x = random_tensor({4, 5}, 1, 2.0);
  expect_gradients_match_differences(swiglu_of, {x, random_tensor({4, 5}, 2)});
  expect_gradients_match_differences(exact, {x});
  expect_gradients_match_differences(tanh_form, {x});
}

TEST(Activation, KernelsMatchFloat64AtOddSizes) {
  for (const std::int64_t n : {1, 3, 8, 15, 16, 17, 100, 16387}) {
    const at::Tensor x = random_tensor({1, n}, 1, 2.0);
    expect_kernels_match_float64(swiglu_of, {x, random_tensor({1, n}, 2)});
    expect_kernels_match_float64(exact, {x});
    expect_kernels_match_float64(tanh_form, {x});
  }
}

// The tails matter in relative terms: bfloat16 can hold them.
TEST(Activation, GeluKeepsRelativeAccuracyInItsTail) {
  const at::Tensor x = at::empty({161}, at::kDouble);
  for (int i = 0; i < 161; ++i) x[i] = -8.0 + 0.1 * i;
  for (const cpu::Isa isa : available_isas()) {
    const cpu::ScopedIsaLimit limit(isa);
    const at::Tensor f32 = gelu(x.to(at::kFloat), Gelu::kExact);
    const at::Tensor bf16 = gelu(x.to(at::kBFloat16), Gelu::kExact);
    for (int i = 0; i < 161; ++i) {
      const double a = exact_gelu(x[i].to(at::kFloat).item<double>());
      const double b = exact_gelu(x[i].to(at::kBFloat16).item<double>());
      EXPECT_NEAR(f32[i].item<double>(), a, 6e-6 * std::fabs(a) + 1e-9);
      EXPECT_NEAR(bf16[i].item<double>(), b, 4.5e-3 * std::fabs(b) + 1e-30);
    }
  }
}

TEST(Activation, LargeInputsSaturate) {
  const double big[] = {-3e38, -1e4, -200, 200, 1e4, 3e38};
  for (const cpu::Isa isa : available_isas()) {
    const cpu::ScopedIsaLimit limit(isa);
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      for (const double value : big) {
        const at::Tensor x = at::empty({20}, type).fill_(value);
        const double kept = value > 0 ? x[0].item<double>() : 0.0;
        const at::Tensor one = at::empty({20}, type).fill_(1.0);
        EXPECT_NEAR(swiglu(x, one)[17].item<double>(), kept, 1e-3 * kept + 1e-5) << value;
        EXPECT_NEAR(gelu(x, Gelu::kExact)[17].item<double>(), kept, 1e-3 * kept) << value;
      }
    }
  }
}

TEST(Activation, NotANumberStaysSo) {
  for (const cpu::Isa isa : available_isas()) {
    const cpu::ScopedIsaLimit limit(isa);
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const at::Tensor x = at::empty({20}, type).fill_(std::nan(""));
      EXPECT_TRUE(std::isnan(swiglu(x, x)[3].item<double>()));
      EXPECT_TRUE(std::isnan(gelu(x, Gelu::kExact)[3].item<double>()));
      EXPECT_TRUE(std::isnan(gelu(x, Gelu::kTanh)[19].item<double>()));
    }
  }
}

TEST(Activation, ThreadCountDoesNotMatter) {
  const at::Tensor x = random_tensor({13, 5003}, 1);
  expect_thread_count_does_not_matter(swiglu_of, {x, random_tensor({13, 5003}, 2)});
  expect_thread_count_does_not_matter(exact, {x});
}

TEST(Activation, ReadsSlices) {
  const at::Tensor both = random_tensor({6, 40}, 1).to(at::kBFloat16);
  const at::Tensor gate = both.narrow(1, 0, 20);
  const at::Tensor up = both.narrow(1, 20, 20);
  expect_same_bits(swiglu(gate, up), swiglu(gate.contiguous(), up.contiguous()), "slices");
}

TEST(Activation, RefusesWhatDoesNotFit) {
  const at::Tensor x = random_tensor({4, 6}, 1).to(at::kFloat);
  expect_error([&] { swiglu(x, x.narrow(1, 0, 5)); }, "swiglu: up is float32 [4, 5]");
  expect_error([&] { gelu(x.to(at::kHalf), Gelu::kTanh); }, "gelu: x is float16");
}

}  // namespace
}  // namespace tigerbot::ops
