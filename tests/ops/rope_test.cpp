#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/numeric.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

RopeAngles angles_for(std::int64_t tokens, std::int64_t half) {
  RopeAngles angles{at::empty({tokens, half}, at::kFloat), at::empty({tokens, half}, at::kFloat)};
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(t) * std::pow(100.0, -static_cast<double>(i) / 8);
      angles.cos[t][i] = std::cos(angle);
      angles.sin[t][i] = std::sin(angle);
    }
  }
  return angles;
}

TEST(Rope, EqualsComplexRotation) {
  const RopeAngles angles = angles_for(5, 3);
  const at::Tensor x = random_tensor({5, 2, 8}, 1);
  const at::Tensor split = rope(x, angles, RopeLayout::kHalfSplit);
  const at::Tensor pairs = rope(x, angles, RopeLayout::kAdjacentPair);
  for (int t = 0; t < 5; ++t) {
    for (int h = 0; h < 2; ++h) {
      for (int i = 0; i < 3; ++i) {
        const double c = angles.cos[t][i].item<double>();
        const double s = angles.sin[t][i].item<double>();
        const auto at_feature = [&](const at::Tensor& tensor, int f) {
          return tensor[t][h][f].item<double>();
        };
        const double a = at_feature(x, i);
        const double b = at_feature(x, i + 3);
        EXPECT_NEAR(at_feature(split, i), a * c - b * s, 1e-12);
        EXPECT_NEAR(at_feature(split, i + 3), b * c + a * s, 1e-12);
        const double even = at_feature(x, 2 * i);
        const double odd = at_feature(x, 2 * i + 1);
        EXPECT_NEAR(at_feature(pairs, 2 * i), even * c - odd * s, 1e-12);
        EXPECT_NEAR(at_feature(pairs, 2 * i + 1), odd * c + even * s, 1e-12);
      }
      EXPECT_EQ(split[t][h][7].item<double>(), x[t][h][7].item<double>());
      EXPECT_EQ(pairs[t][h][6].item<double>(), x[t][h][6].item<double>());
    }
  }
}

TEST(Rope, KernelsAndGradientsOfBothLayoutsAndPartialRotation) {
  for (const RopeLayout layout : {RopeLayout::kHalfSplit, RopeLayout::kAdjacentPair}) {
    for (const auto& [dim, half] :
         {std::pair<int, int>{64, 32}, {32, 16}, {6, 3}, {40, 11}, {2, 1}, {5, 0}, {34, 17}}) {
      const RopeAngles angles = angles_for(4, half);
      const Function turn = [&](const Tensors& in) { return Tensors{rope(in[0], angles, layout)}; };
      const at::Tensor x = random_tensor({4, 3, dim}, 1);
      if (dim < 10) expect_gradients_match_differences(turn, {x});
      expect_kernels_match_float64(turn, {x});
    }
  }
}

TEST(Rope, ReadsSlicesOfAFusedProjection) {
  const at::Tensor fused = random_tensor({6, 5 * 16}, 1).to(at::kBFloat16);
  const at::Tensor q = fused.narrow(1, 16, 48).view({6, 3, 16});
  const RopeAngles angles = angles_for(6, 8);
  expect_same_bits(rope(q, angles), rope(q.contiguous(), angles), "a slice");
}

TEST(Rope, RefusesWhatDoesNotFit) {
  const at::Tensor x = random_tensor({4, 2, 8}, 1).to(at::kFloat);
  expect_error([&] { rope(x, angles_for(4, 5)); }, "rope: angles.cos is float32 [4, 5]");
  expect_error([&] { rope(x, angles_for(3, 4)); }, "expected shape [4, any]");
  expect_error([&] { rope(x.view({8, 8}), angles_for(8, 4)); }, "rope: x");
  RopeAngles angles = angles_for(4, 4);
  angles.sin = angles.sin.to(at::kBFloat16);
  expect_error([&] { rope(x, angles); }, "rope: angles.sin");
}

}  // namespace
}  // namespace tigerbot::ops
