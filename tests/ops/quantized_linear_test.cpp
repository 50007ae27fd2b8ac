#include "ops/quantized_linear.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "ops/cpu/isa.h"
#include "ops/quantized_parts.h"
#include "ops/quantized_training.h"

namespace tigerbot {
namespace {

using cpu::Isa;

constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

class QuantizedEveryIsa : public testing::TestWithParam<std::tuple<Isa, at::ScalarType>> {
 protected:
  void SetUp() override {
    at::manual_seed(11);
    at::set_num_threads(1);  // small products: threads would only wait for each other
    if (cpu::best_isa() != std::get<0>(GetParam())) GTEST_SKIP() << "not on this processor";
  }
  void TearDown() override { at::set_num_threads(threads_); }
  at::ScalarType type() const { return std::get<1>(GetParam()); }
  double tolerance() const { return type() == at::kBFloat16 ? 0.0045 : 2e-5; }

 private:
  int threads_ = at::get_num_threads();
  cpu::ScopedIsaLimit limit_{std::get<0>(GetParam())};
};

TEST_P(QuantizedEveryIsa, ProductsEqualTheFloat64Reference) {
  for (const int bits : {3, 4, 8}) {
    for (const auto& [rows, in, out, group] :
         std::vector<std::tuple<int, int, int, int>>{{1, 64, 16, 32},
                                                     {1, 576, 40, 576},
                                                     {3, 100, 83, 32},
                                                     {8, 96, 49, 32},
                                                     {9, 45, 17, 15},
                                                     {70, 640, 33, 640},
                                                     {131, 256, 64, 128}}) {
      for (const Groups kind : {Groups::kInOrder, Groups::kShuffled}) {
        const ops::QuantizedParts parts = random_parts(bits, out, in, group, kind);
        const at::Tensor x = at::randn({rows, in}).to(type());
        const at::Tensor bias = at::randn({out}).to(type());
        const ops::QuantizedWeight weight(parts);
        const at::Tensor numbers = plain_weight(parts).to(type()).to(at::kDouble);
        const at::Tensor expected = at::matmul(x.to(at::kDouble), numbers.t());
        EXPECT_LT(largest_error(ops::exact_product(x, weight), expected), tolerance())
            << bits << " bits, " << rows << " x " << in << " x " << out << " by " << group;
        EXPECT_LT(largest_error(ops::linear(x, weight), expected), tolerance())
            << bits << " bits, " << rows << " x " << in << " x " << out << " by " << group;
        EXPECT_LT(largest_error(ops::linear(x, weight, bias), expected + bias.to(at::kDouble)),
                  tolerance());
      }
    }
  }
}

TEST_P(QuantizedEveryIsa, ARowHasTheSameBitsAmongAnyNumberOfRows) {
  const ops::QuantizedWeight weight(random_parts(4, 70, 320, 64, Groups::kShuffled));
  const at::Tensor x = at::randn({150, 320}).to(type());
  const at::Tensor all = ops::exact_product(x, weight);
  for (const int rows : {1, 2, 5, 8, 9, 24, 63, 64, 65, 130}) {
    for (const int first : {0, 7, 19}) {
      EXPECT_TRUE(at::equal(ops::exact_product(x.narrow(0, first, rows), weight),
                            all.narrow(0, first, rows)))
          << rows << " rows from " << first;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(QuantizedLinear, QuantizedEveryIsa,
                         testing::Combine(testing::ValuesIn(kAllIsas),
                                          testing::Values(at::kBFloat16, at::kFloat)));

TEST(QuantizedWeight, DequantizesToTheFormatsDefinition) {
  at::manual_seed(5);
  for (const int bits : {3, 4, 8}) {
    for (const Groups kind : {Groups::kInOrder, Groups::kShuffled}) {
      const ops::QuantizedParts parts = random_parts(bits, 50, 75, 25, kind);
      const ops::QuantizedWeight weight(parts);
      EXPECT_TRUE(at::equal(weight.dequantize(at::kFloat), plain_weight(parts).to(at::kFloat)));
      EXPECT_TRUE(at::equal(weight.dequantize(at::kBFloat16),
                            plain_weight(parts).to(at::kFloat).to(at::kBFloat16)));
      EXPECT_TRUE(at::equal(weight.dequantize_rows(16, 20, at::kFloat),
                            weight.dequantize(at::kFloat).narrow(0, 16, 20)));
    }
  }
}

TEST(QuantizedWeight, TakesAQuarterOfBfloat16AtFourBits) {
  const ops::QuantizedWeight weight(random_parts(4, 512, 1024, 128));
  EXPECT_LT(static_cast<double>(weight.bytes()), 0.27 * 2 * 512 * 1024);
}

TEST(QuantizedLinear, OneThreadAndManyGiveTheSameBits) {
  const int threads = at::get_num_threads();
  const ops::QuantizedWeight weight(random_parts(8, 200, 64, 32));
  const at::Tensor x = at::randn({30, 64}).to(at::kBFloat16);
  at::set_num_threads(1);
  const at::Tensor alone = ops::exact_product(x, weight);
  at::set_num_threads(5);
  EXPECT_TRUE(at::equal(ops::exact_product(x, weight), alone));
  at::set_num_threads(threads);
}

TEST(QuantizedLinear, CarriesGradientsOfInputAndBias) {
  at::manual_seed(3);
  const ops::QuantizedParts parts = random_parts(4, 530, 64, 32, Groups::kShuffled);
  const ops::QuantizedWeight weight(parts);
  at::Tensor x = at::randn({6, 64}).set_requires_grad(true);
  at::Tensor bias = at::randn({530}).set_requires_grad(true);
  const at::Tensor seed = at::randn({6, 530});
  ops::linear(x, weight, bias).backward(seed);
  const at::Tensor expected = at::matmul(seed.to(at::kDouble), plain_weight(parts));
  at::Tensor alone = x.detach().clone().set_requires_grad(true);
  ops::linear(alone, weight).backward(seed);
  EXPECT_TRUE(at::equal(alone.grad(), x.grad()));
  EXPECT_LT(largest_error(x.grad(), expected), 1e-4);
  EXPECT_TRUE(at::allclose(bias.grad(), seed.sum(0), 1e-5, 1e-5));
}

TEST(QuantizedLinear, TrainsWithAWeightOfManyPartsAsWithAWholeOne) {
  at::manual_seed(4);
  const ops::QuantizedParts parts = random_parts(4, 83, 64, 32, Groups::kShuffled);
  const ops::QuantizedWeight weight(parts);
  EXPECT_EQ(ops::rows_at_once(weight), 83);
  const at::Tensor numbers = plain_weight(parts);
  for (const auto& [type, tolerance] : {std::pair(at::kFloat, 2e-5), {at::kBFloat16, 0.02}}) {
    const at::Tensor x = at::randn({9, 64}).to(type);
    const at::Tensor dy = at::randn({9, 83}).to(type);
    const at::Tensor bias = at::randn({83}).to(type);
    const at::Tensor y = at::matmul(x.to(at::kDouble), numbers.t()) + bias.to(at::kDouble);
    const at::Tensor dx = at::matmul(dy.to(at::kDouble), numbers);
    for (const std::int64_t rows : {16, 48, 83}) {
      EXPECT_LT(largest_error(ops::training_product(x, weight, bias, rows), y), tolerance) << rows;
      EXPECT_LT(largest_error(ops::input_gradient(dy, weight, rows), dx), tolerance) << rows;
    }
  }
}

TEST(QuantizedWeight, WhatDoesNotFitIsNamed) {
  const auto message = [](const auto& change) -> std::string {
    ops::QuantizedParts parts = random_parts(4, 20, 64, 32);
    change(parts);
    try {
      ops::QuantizedWeight weight(parts);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  using Parts = ops::QuantizedParts;
  EXPECT_EQ(message([](Parts&) {}), "");
  EXPECT_NE(message([](Parts& p) { p.bits = 9; }).find("9 bits"), std::string::npos);
  EXPECT_NE(message([](Parts& p) { p.codes[3][3] = 16; }).find("codes holds 16"),
            std::string::npos);
  EXPECT_NE(message([](Parts& p) { p.group_of[7] = 2; }).find("group_of holds 2"),
            std::string::npos);
  EXPECT_NE(message([](Parts& p) { p.group_of[7] = -1; }).find("group_of holds -1"),
            std::string::npos);
  EXPECT_NE(message([](Parts& p) { p.zeros[0][0] = 17; }).find("zeros holds 17"),
            std::string::npos);
  EXPECT_NE(message([](Parts& p) { p.scales[0][0] = 1.0 / 0.0; }).find("infinity"),
            std::string::npos);
  EXPECT_NE(message([](Parts& p) { p.scales = p.scales.narrow(1, 0, 19); }).find("scales"),
            std::string::npos);
}

}  // namespace
}  // namespace tigerbot
