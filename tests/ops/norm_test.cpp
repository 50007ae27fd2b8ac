#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/numeric.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

constexpr double kEps = 1e-5;

// x [rows, n] in float64, one sum at a time; bias undefined for RMSNorm.
at::Tensor naive_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor y = at::empty_like(x);
  const std::int64_t n = x.size(1);
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    const auto* in = x.const_data_ptr<double>() + row * n;
    auto* out = y.mutable_data_ptr<double>() + row * n;
    double mean = 0;
    for (std::int64_t i = 0; i < n && bias.defined(); ++i) mean += in[i] / static_cast<double>(n);
    double variance = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      variance += (in[i] - mean) * (in[i] - mean) / static_cast<double>(n);
    }
    for (std::int64_t i = 0; i < n; ++i) {
      out[i] = (in[i] - mean) / std::sqrt(variance + kEps) * weight.const_data_ptr<double>()[i];
      if (bias.defined()) out[i] += bias.const_data_ptr<double>()[i];
    }
  }
  return y;
}

Tensors rms(const Tensors& in) { return {rms_norm(in[0], in[1], kEps)}; }
Tensors rms_residual(const Tensors& in) {
  const auto [y, sum] = rms_norm_residual(in[0], in[1], in[2], kEps);
  return {y, sum};
}
Tensors layer(const Tensors& in) { return {layer_norm(in[0], in[1], in[2], kEps)}; }
Tensors layer_residual(const Tensors& in) {
  const auto [y, sum] = layer_norm_residual(in[0], in[1], in[2], in[3], kEps);
  return {y, sum};
}

TEST(Norm, Float64EqualsTheFormula) {
  for (const std::int64_t n : {1, 2, 7, 64, 65}) {
    const at::Tensor x = random_tensor({3, n}, 1);
    const at::Tensor weight = random_tensor({n}, 2);
    const at::Tensor bias = random_tensor({n}, 3);
    expect_close(rms_norm(x, weight, kEps), naive_norm(x, weight, {}), 1e-12, "rms_norm");
    expect_close(layer_norm(x, weight, bias, kEps), naive_norm(x, weight, bias), 1e-9,
                 "layer_norm");
  }
}

TEST(Norm, GradientsMatchDifferences) {
  const at::Tensor x = random_tensor({3, 5}, 1);
  const at::Tensor residual = random_tensor({3, 5}, 2);
  const at::Tensor weight = random_tensor({5}, 3);
  const at::Tensor bias = random_tensor({5}, 4);
  expect_gradients_match_differences(rms, {x, weight});
  expect_gradients_match_differences(rms_residual, {x, residual, weight});
  expect_gradients_match_differences(layer, {x, weight, bias});
  expect_gradients_match_differences(layer_residual, {x, residual, weight, bias});
}

TEST(Norm, KernelsMatchFloat64AtOddWidths) {
  for (const std::int64_t n : {2, 3, 8, 15, 16, 17, 64, 67, 576, 1000}) {
    const at::Tensor x = random_tensor({5, n}, 1);
    const at::Tensor weight = random_tensor({n}, 3);
    expect_kernels_match_float64(rms, {x, weight});
    if (n == 2) continue;  // LayerNorm of two numbers is a step function of their difference
    const at::Tensor bias = random_tensor({n}, 4);
    expect_kernels_match_float64(layer, {x, weight, bias});
    // Sixteenths: their sums are bfloat16 numbers, so the sum's rounding is not what is measured.
    const at::Tensor a = (x * 16).round().clamp(-60, 60) / 16;
    const at::Tensor b = (random_tensor({5, n}, 2) * 16).round().clamp(-60, 60) / 16;
    expect_kernels_match_float64(rms_residual, {a, b, weight});
    expect_kernels_match_float64(layer_residual, {a, b, weight, bias});
  }
}

TEST(Norm, ThreadCountDoesNotMatter) {
  const at::Tensor x = random_tensor({700, 67}, 1);
  const at::Tensor weight = random_tensor({67}, 3);
  const at::Tensor bias = random_tensor({67}, 4);
  expect_thread_count_does_not_matter(rms_residual, {x, x, weight});
  expect_thread_count_does_not_matter(layer, {x, weight, bias});
}

TEST(Norm, ResidualFormEqualsNormOfTheRoundedSum) {
  const at::Tensor x = random_tensor({4, 33}, 1).to(at::kBFloat16);
  const at::Tensor residual = random_tensor({4, 33}, 2).to(at::kBFloat16);
  const at::Tensor weight = random_tensor({33}, 3).to(at::kBFloat16);
  const auto [y, sum] = rms_norm_residual(x, residual, weight, kEps);
  expect_same_bits(sum, x + residual, "sum");
  expect_same_bits(y, rms_norm(x + residual, weight, kEps), "norm");
}

TEST(Norm, RowsDoNotDependOnEachOther) {
  const at::Tensor x = random_tensor({9, 70}, 1).to(at::kBFloat16);
  const at::Tensor weight = random_tensor({70}, 3).to(at::kBFloat16);
  const at::Tensor all = rms_norm(x, weight, kEps);
  expect_same_bits(rms_norm(x.narrow(0, 4, 1), weight, kEps), all.narrow(0, 4, 1), "row 4");
}

TEST(Norm, TakesFloat32ParametersNonContiguousInputAndMoreDimensions) {
  const at::Tensor x = random_tensor({3, 4, 66}, 1).to(at::kBFloat16);
  const at::Tensor weight = random_tensor({33}, 3).to(at::kFloat);
  const at::Tensor half = x.narrow(2, 33, 33);
  const at::Tensor y = rms_norm(half, weight, kEps);
  expect_same_bits(y, rms_norm(half.contiguous(), weight, kEps), "a slice");
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
}

TEST(Norm, EmptyInputGivesEmptyOutput) {
  const at::Tensor x = random_tensor({0, 8}, 1).to(at::kFloat);
  const at::Tensor weight = random_tensor({8}, 1).to(at::kFloat);
  EXPECT_EQ(rms_norm(x, weight, kEps).numel(), 0);
}

TEST(Norm, OnlyOneOutputNeedsAGradient) {
  const at::Tensor x = random_tensor({4, 16}, 1);
  const at::Tensor weight = random_tensor({16}, 3);
  const auto only = [](int which) {
    return [which](const Tensors& in) {
      const auto [y, sum] = rms_norm_residual(in[0], in[1], in[2], kEps);
      // The weight must take part, or autograd has no gradient to give.
      return Tensors{which == 0 ? y : sum + 0.0 * y};
    };
  };
  expect_kernels_match_float64(only(0), {x, x, weight});
  expect_kernels_match_float64(only(1), {x, x, weight});
}

TEST(Norm, RefusesWhatDoesNotFit) {
  const at::Tensor x = random_tensor({4, 16}, 1).to(at::kFloat);
  const at::Tensor weight = random_tensor({16}, 1).to(at::kFloat);
  const at::Tensor narrow = random_tensor({15}, 1).to(at::kFloat);
  expect_error([&] { rms_norm(x, narrow, kEps); },
               "rms_norm: weight is float32 [15]; expected shape [16]");
  expect_error([&] { rms_norm(x.to(at::kHalf), weight, kEps); }, "float16");
  expect_error([&] { rms_norm(at::Tensor(), weight, kEps); }, "undefined");
  expect_error([&] { rms_norm(x, weight.to(at::kDouble), kEps); }, "float64");
  expect_error([&] { rms_norm_residual(x, x.to(at::kBFloat16), weight, kEps); }, "must agree");
  expect_error([&] { layer_norm(x, weight, narrow, kEps); }, "layer_norm: bias");
}

}  // namespace
}  // namespace tigerbot::ops
