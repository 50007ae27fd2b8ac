#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "ops/cpu/isa.h"
#include "ops/quantized_linear.h"
#include "ops/quantized_parts.h"

namespace tigerbot {
namespace {

using cpu::Isa;

constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

/// Products of inference: activations rounded to 8 bits.
class RoundedEveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    at::manual_seed(11);
    at::set_num_threads(1);  // small products: threads would only wait for each other
    if (cpu::best_isa() != GetParam()) GTEST_SKIP() << "not on this processor";
  }
  void TearDown() override { at::set_num_threads(threads_); }

 private:
  const at::NoGradGuard no_grad_;
  int threads_ = at::get_num_threads();
  cpu::ScopedIsaLimit limit_{GetParam()};
};

void expect_like_reference(const ops::QuantizedParts& parts, std::int64_t rows,
                           const std::string& what) {
  const ops::QuantizedWeight weight(parts);
  at::Tensor x = at::randn({rows, weight.in_features()}).to(at::kBFloat16);
  // Features far larger than their neighbours in some rows: those blocks have a second term.
  for (std::int64_t row = 0; row < rows; row += 3) x[row][row * 5 % x.size(1)] = 300;
  const at::Tensor bias = at::randn({weight.out_features()}).to(at::kBFloat16);
  const at::Tensor expected =
      at::matmul(rounded_activations(x, weight.input_form()), plain_weight(parts).t()) +
      bias.to(at::kDouble);
  EXPECT_LT(largest_error(ops::linear(x, weight, bias), expected), 0.0045)
      << what << ", " << rows << " x " << weight.in_features() << " x " << weight.out_features();
  EXPECT_LT(largest_error(weight.dequantize(at::kFloat), plain_weight(parts)), 1e-6) << what;
}

TEST_P(RoundedEveryIsa, ZerosEqualTheFloat64Reference) {
  for (const int bits : {2, 3, 4, 5, 8}) {
    for (const auto& [rows, in, out, group] :
         std::vector<std::tuple<int, int, int, int>>{{1, 64, 16, 32},
                                                     {2, 1120, 40, 1120},
                                                     {3, 100, 83, 32},
                                                     {8, 96, 49, 16},
                                                     {9, 45, 17, 15},
                                                     {16, 640, 33, 640},
                                                     {131, 576, 64, 128}}) {
      for (const Groups kind : {Groups::kInOrder, Groups::kShuffled}) {
        expect_like_reference(random_parts(bits, out, in, group, kind), rows, "zeros");
        expect_like_reference(symmetric_parts(bits, out, in, group, kind), rows, "symmetric");
      }
    }
  }
}

TEST_P(RoundedEveryIsa, OffsetsEqualTheFloat64Reference) {
  for (const int bits : {2, 4, 5, 8}) {
    for (const int rows : {1, 2, 7, 12, 130}) {
      expect_like_reference(offset_parts(bits, 50, 96, 32), rows, "offsets");
      expect_like_reference(offset_parts(bits, 35, 576, 16), rows, "offsets");
      for (const bool minimums : {false, true}) {
        expect_like_reference(super_parts(bits, 50, 512, 16, minimums), rows, "super of 16");
        expect_like_reference(super_parts(bits, 35, 768, 32, minimums), rows, "super of 32");
      }
    }
  }
}

TEST_P(RoundedEveryIsa, ARowHasTheSameBitsAmongAnyNumberOfRows) {
  const std::vector<std::pair<const char*, ops::QuantizedParts>> kinds = {
      {"shuffled", random_parts(4, 70, 1120, 64, Groups::kShuffled)},
      {"symmetric", symmetric_parts(4, 64, 1120, 32)},
      {"bytes", symmetric_parts(8, 70, 544, 544)},
      {"16 wide", super_parts(6, 64, 768, 16, false)},
      {"minimums", super_parts(4, 48, 768, 32, true)}};
  for (const auto& [name, parts] : kinds) {
    const ops::QuantizedWeight weight(parts);
    at::Tensor x = at::randn({150, weight.in_features()}).to(at::kBFloat16);
    for (std::int64_t row = 0; row < 150; row += 4) x[row][row * 3] = -200;
    const at::Tensor all = ops::linear(x, weight);
    for (const int rows : {1, 2, 3, 5, 8, 9, 16, 33, 63, 65, 128, 130}) {
      for (const int first : {0, 7, 19}) {
        EXPECT_TRUE(
            at::equal(ops::linear(x.narrow(0, first, rows), weight), all.narrow(0, first, rows)))
            << name << ": " << rows << " rows from " << first;
      }
    }
  }
}

TEST_P(RoundedEveryIsa, WhatIsNotANumberStaysSo) {
  const ops::QuantizedWeight weight(symmetric_parts(4, 20, 64, 32));
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    at::Tensor x = at::randn({2, 64}).to(at::kBFloat16);
    x[1][40] = bad;
    const at::Tensor y = ops::linear(x, weight);
    EXPECT_TRUE(at::isfinite(y[0]).all().item<bool>());
    EXPECT_FALSE(at::isfinite(y[1]).any().item<bool>());
  }
}

TEST_P(RoundedEveryIsa, ZerosAndTinyNumbersArePlainZeros) {
  const ops::QuantizedParts parts = offset_parts(4, 20, 64, 32);
  const ops::QuantizedWeight weight(parts);
  EXPECT_EQ(ops::linear(at::zeros({1, 64}, at::kBFloat16), weight).abs().max().item<double>(), 0);
  const at::Tensor tiny = at::full({1, 64}, 1e-39, at::kFloat).to(at::kBFloat16);
  EXPECT_LT(ops::linear(tiny, weight).abs().max().item<double>(), 1e-35);
}

INSTANTIATE_TEST_SUITE_P(QuantizedRounded, RoundedEveryIsa, testing::ValuesIn(kAllIsas));

TEST(QuantizedEmbedding, RowsAreTheDequantizedOnes) {
  const ops::QuantizedWeight weight(random_parts(8, 70, 96, 32, Groups::kShuffled));
  const at::Tensor ids = at::tensor({3, 69, 0, 3, 17}, at::kInt);
  const at::Tensor rows = ops::embedding(ids, weight, at::kBFloat16);
  EXPECT_TRUE(at::equal(rows, weight.dequantize(at::kBFloat16).index_select(0, ids)));
  EXPECT_THROW(ops::embedding(at::tensor({70}, at::kInt), weight, at::kFloat), Error);
  EXPECT_THROW(ops::embedding(at::tensor({-1}, at::kInt), weight, at::kFloat), Error);
}

}  // namespace
}  // namespace tigerbot
