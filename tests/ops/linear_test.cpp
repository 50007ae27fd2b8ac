#include "ops/linear.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <limits>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "ops/cpu/isa.h"
#include "ops/cpu/packed_product.h"
#include "ops/ops.h"

namespace tigerbot {
namespace {

using cpu::Isa;

constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

at::Tensor random(std::vector<std::int64_t> sizes, at::ScalarType type) {
  return at::randn(sizes, at::kFloat).to(type);
}

/// The product in float64.
at::Tensor reference(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor y = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
  return bias.defined() ? y + bias.to(at::kDouble) : y;
}

double largest_error(const at::Tensor& y, const at::Tensor& expected) {
  return ((y.to(at::kDouble) - expected).abs() / (expected.abs() + 1)).max().item<double>();
}

/// What rounding of the result (and, in bfloat16, nothing else) allows.
double tolerance(at::ScalarType type) { return type == at::kBFloat16 ? 0.0045 : 1e-5; }

class EveryIsa : public testing::TestWithParam<std::tuple<Isa, at::ScalarType>> {
 protected:
  void SetUp() override {
    at::manual_seed(7);
    if (cpu::best_isa() != std::get<0>(GetParam())) GTEST_SKIP() << "not on this processor";
  }
  at::ScalarType type() const { return std::get<1>(GetParam()); }

 private:
  cpu::ScopedIsaLimit limit_{std::get<0>(GetParam())};
};

TEST_P(EveryIsa, PackedProductsEqualTheReferenceAtOddSizes) {
  for (const auto& [rows, in, out] : std::vector<std::tuple<int, int, int>>{{1, 1, 1},
                                                                            {1, 64, 16},
                                                                            {3, 101, 83},
                                                                            {8, 96, 49},
                                                                            {9, 96, 48},
                                                                            {25, 33, 15},
                                                                            {50, 200, 130}}) {
    const at::Tensor x = random({rows, in}, type());
    const at::Tensor weight = random({out, in}, type());
    const at::Tensor bias = random({out}, type());
    const ops::PackedWeight packed(weight);
    EXPECT_LT(largest_error(ops::linear(x, packed), reference(x, weight, {})), tolerance(type()))
        << rows << " x " << in << " x " << out;
    EXPECT_LT(largest_error(ops::linear(x, packed, bias), reference(x, weight, bias)),
              tolerance(type()));
  }
}

TEST_P(EveryIsa, ARowHasTheSameBitsAmongAnyNumberOfRows) {
  const at::Tensor x = random({61, 90}, type());
  const ops::PackedWeight packed(random({70, 90}, type()));
  const at::Tensor all = ops::linear(x, packed);
  for (const int rows : {1, 2, 3, 7, 8, 9, 16, 24, 25, 49}) {
    for (const int first : {0, 5, 12}) {
      EXPECT_TRUE(
          at::equal(ops::linear(x.narrow(0, first, rows), packed), all.narrow(0, first, rows)))
          << rows << " rows from " << first;
    }
  }
}

TEST_P(EveryIsa, UnpackingGivesTheWeightBack) {
  for (const auto& [out, in] : std::vector<std::pair<int, int>>{{16, 32}, {17, 33}, {5, 1}}) {
    const at::Tensor weight = random({out, in}, type());
    EXPECT_TRUE(at::equal(ops::PackedWeight(weight).unpack(), weight));
  }
}

TEST_P(EveryIsa, InfinityAndNanStayInTheirOwnRows) {
  at::Tensor x = random({3, 33}, type());
  x[1][32] = std::numeric_limits<double>::quiet_NaN();
  x[2][0] = std::numeric_limits<double>::infinity();
  const at::Tensor weight = at::ones({17, 33}, type());
  const at::Tensor y = ops::linear(x, ops::PackedWeight(weight)).to(at::kFloat);
  EXPECT_TRUE(at::isfinite(y[0]).all().item<bool>());
  EXPECT_TRUE(at::isnan(y[1]).all().item<bool>());
  EXPECT_TRUE(at::isinf(y[2]).all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Linear, EveryIsa,
                         testing::Combine(testing::ValuesIn(kAllIsas),
                                          testing::Values(at::kBFloat16, at::kFloat)));

TEST(Linear, OneThreadAndManyGiveTheSameBits) {
  const int threads = at::get_num_threads();
  const at::Tensor x = random({30, 64}, at::kBFloat16);
  const ops::PackedWeight packed(random({200, 64}, at::kBFloat16));
  at::set_num_threads(1);
  const at::Tensor alone = ops::linear(x, packed);
  at::set_num_threads(5);
  EXPECT_TRUE(at::equal(ops::linear(x, packed), alone));
  at::set_num_threads(threads);
}

TEST(Linear, NoRowsGiveNoRows) {
  const ops::PackedWeight packed(random({20, 8}, at::kFloat));
  EXPECT_EQ(ops::linear(at::empty({0, 8}), packed).sizes(), at::IntArrayRef({0, 20}));
}

TEST(Linear, WrongShapesAndTypesAreNamed) {
  const ops::PackedWeight packed(random({20, 8}, at::kFloat));
  EXPECT_THROW(ops::linear(at::ones({2, 9}), packed), Error);
  EXPECT_THROW(ops::linear(at::ones({2, 8}, at::kBFloat16), packed), Error);
  EXPECT_THROW(ops::linear(at::ones({2, 8}), packed, at::ones({19})), Error);
  EXPECT_THROW(ops::PackedWeight(at::ones({2, 8}, at::kLong)), Error);
  EXPECT_THROW(ops::PackedWeight(at::ones({8})), Error);
}

TEST(Linear, PlainWeightsCarryGradients) {
  at::Tensor x = at::randn({4, 6}, at::kDouble).set_requires_grad(true);
  at::Tensor weight = at::randn({5, 6}, at::kDouble).set_requires_grad(true);
  at::Tensor bias = at::randn({5}, at::kDouble).set_requires_grad(true);
  const at::Tensor seed = at::randn({4, 5}, at::kDouble);
  ops::linear(x, weight, bias).backward(seed);
  EXPECT_TRUE(at::allclose(x.grad(), at::matmul(seed, weight)));
  EXPECT_TRUE(at::allclose(weight.grad(), at::matmul(seed.t(), x)));
  EXPECT_TRUE(at::allclose(bias.grad(), seed.sum(0)));
}

TEST(Partition, CoversEveryRowAndPanelOnce) {
  for (const std::int64_t rows : {1, 8, 9, 24, 100, 513}) {
    for (const std::int64_t panels : {1, 2, 3, 12, 37, 100}) {
      for (const std::int64_t threads : {1, 2, 7, 64}) {
        const cpu::Partition partition(rows, panels, threads);
        std::vector<int> seen(static_cast<std::size_t>(rows * panels));
        for (std::int64_t unit = 0; unit < partition.units(); ++unit) {
          const cpu::ProductTile tile = partition.tile(unit);
          for (std::int64_t r = tile.row; r < tile.row_end; ++r) {
            for (std::int64_t p = tile.panel; p < tile.panel_end; ++p) {
              ++seen[static_cast<std::size_t>(r * panels + p)];
            }
          }
        }
        EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), rows * panels)
            << rows << " rows, " << panels << " panels, " << threads << " threads";
      }
    }
  }
}

}  // namespace
}  // namespace tigerbot
