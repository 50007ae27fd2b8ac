#include "quant/solver.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "quant/hessian.h"

namespace tigerbot::quant {
namespace {

/// Activations whose features are correlated and of unlike size, as those of real layers are.
at::Tensor activations(std::int64_t tokens, std::int64_t in) {
  const at::Tensor mix = at::randn({in, in}) * 0.3 + at::eye(in);
  const at::Tensor sizes = at::rand({in}) * at::rand({in}) * 4 + 0.05;
  return at::matmul(at::randn({tokens, in}), mix) * sizes;
}

at::Tensor hessian_of(const at::Tensor& x) {
  Hessian hessian(x.size(1));
  hessian.add(x);
  return hessian.matrix();
}

using Row = std::vector<double>;

/// The paper's procedure at its plainest, in float64: the inverse Hessian itself, and after each
/// column the column taken out of it by elimination.
struct Reference {
  std::vector<std::vector<int>> codes;
  std::vector<Row> values;
};
Reference reference_gptq(const at::Tensor& weight, const at::Tensor& hessian,
                         const GptqOptions& options, const std::vector<std::int64_t>& order) {
  const auto in = static_cast<std::size_t>(weight.size(1));
  const auto out = static_cast<std::size_t>(weight.size(0));
  const at::Tensor damped =
      hessian + at::eye(weight.size(1), at::kDouble) * hessian.diagonal().mean() * options.damping;
  const at::Tensor inverted = at::inverse(damped).contiguous();
  const auto* whole = inverted.const_data_ptr<double>();
  std::vector<Row> inverse(in, Row(in));
  for (std::size_t i = 0; i < in; ++i) {
    for (std::size_t j = 0; j < in; ++j) {
      inverse[i][j] =
          whole[static_cast<std::size_t>(order[i]) * in + static_cast<std::size_t>(order[j])];
    }
  }
  const auto* given = weight.const_data_ptr<float>();
  std::vector<Row> w(out, Row(in));
  for (std::size_t r = 0; r < out; ++r) {
    for (std::size_t j = 0; j < in; ++j)
      w[r][j] = given[r * in + static_cast<std::size_t>(order[j])];
  }
  Reference result{std::vector<std::vector<int>>(out, std::vector<int>(in)),
                   std::vector<Row>(out, Row(in))};
  const std::size_t group =
      options.grid.group_size == -1 ? in : static_cast<std::size_t>(options.grid.group_size);
  std::vector<Grid> grids(out);
  for (std::size_t j = 0; j < in; ++j) {
    for (std::size_t r = 0; r < out; ++r) {
      if (j % group == 0) {
        const std::vector<float> part(w[r].begin() + static_cast<std::ptrdiff_t>(j),
                                      w[r].begin() + static_cast<std::ptrdiff_t>(j + group));
        grids[r] = Grid::of(part.data(), static_cast<std::int64_t>(group), options.grid.bits,
                            options.grid.symmetric);
      }
      const auto column = static_cast<std::size_t>(order[j]);
      const int code = grids[r].code(static_cast<float>(w[r][j]), options.grid.bits);
      result.codes[r][column] = code;
      result.values[r][column] = grids[r].value(code);
      const double error = (w[r][j] - grids[r].value(code)) / inverse[j][j];
      for (std::size_t k = j; k < in; ++k) w[r][k] -= error * inverse[j][k];
    }
    for (std::size_t a = j + 1; a < in; ++a) {
      for (std::size_t b = j + 1; b < in; ++b) {
        inverse[a][b] -= inverse[a][j] * inverse[j][b] / inverse[j][j];
      }
    }
  }
  return result;
}

/// The features in the order in which they are rounded.
std::vector<std::int64_t> reference_order(const at::Tensor& hessian, const GptqOptions& options) {
  const at::Tensor diagonal = hessian.diagonal().contiguous();
  const auto* sizes = diagonal.const_data_ptr<double>();
  const std::int64_t in = diagonal.size(0);
  const std::int64_t group = options.grid.group_size == -1 ? in : options.grid.group_size;
  std::vector<std::int64_t> order(static_cast<std::size_t>(in));
  std::iota(order.begin(), order.end(), 0);
  const auto greatest = [&](std::int64_t feature) {
    const double* first = sizes + feature / group * group;
    return *std::max_element(first, first + group);
  };
  if (options.order == ColumnOrder::kStored) return order;
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    if (options.order == ColumnOrder::kGroups && a / group != b / group) {
      return greatest(a) > greatest(b);
    }
    return sizes[a] > sizes[b];
  });
  return order;
}

class Gptq : public testing::TestWithParam<std::tuple<int, std::int64_t, bool, ColumnOrder>> {
 protected:
  void SetUp() override { at::manual_seed(17); }
  GptqOptions options() const {
    GptqOptions options;
    std::tie(options.grid.bits, options.grid.group_size, options.grid.symmetric, options.order) =
        GetParam();
    return options;
  }
};

TEST_P(Gptq, AgreesWithThePlainFloat64Procedure) {
  const std::int64_t in = 256;
  const at::Tensor weight = at::randn({24, in}) * 0.05;
  const at::Tensor hessian = hessian_of(activations(600, in));
  GptqOptions plain_options = options();
  plain_options.search_grid = false;
  plain_options.refinements = 0;
  const ops::QuantizedParts parts = solve_gptq(weight, hessian, plain_options, "layer");
  const Reference expected =
      reference_gptq(weight, hessian, options(), reference_order(hessian, options()));
  // A value at the middle between two codes may fall either way in float32, and what follows it in
  // its row then differs: few rows may, and the error must be the same.
  std::int64_t equal = 0;
  at::Tensor values = at::empty({24, in}, at::kDouble);
  for (std::int64_t r = 0; r < 24; ++r) {
    for (std::int64_t j = 0; j < in; ++j) {
      const auto row = static_cast<std::size_t>(r);
      const auto column = static_cast<std::size_t>(j);
      const int code = parts.codes.const_data_ptr<std::uint8_t>()[r * in + j];
      equal += code == expected.codes[row][column] ? 1 : 0;
      values.mutable_data_ptr<double>()[r * in + j] = expected.values[row][column];
    }
  }
  EXPECT_GT(static_cast<double>(equal), 0.97 * 24 * static_cast<double>(in));
  const double ours =
      relative_error(weight, ops::QuantizedWeight(parts).dequantize(at::kFloat), hessian);
  const double plain = relative_error(weight, values, hessian);
  EXPECT_NEAR(ours / plain, 1.0, 0.01);
}

TEST_P(Gptq, BeatsRoundToNearestOnTheCalibrationSetAndOnOtherText) {
  const std::int64_t in = 384;
  const at::Tensor weight = at::randn({70, in}) * 0.05;
  const at::Tensor both = activations(4000, in);
  const at::Tensor seen = hessian_of(both.narrow(0, 0, 2000));
  const at::Tensor other = hessian_of(both.narrow(0, 2000, 2000));
  const auto solved =
      ops::QuantizedWeight(solve_gptq(weight, seen, options(), "layer")).dequantize(at::kFloat);
  const auto nearest = ops::QuantizedWeight(round_to_nearest(weight, options().grid, "layer"))
                           .dequantize(at::kFloat);
  EXPECT_LT(relative_error(weight, solved, seen), 0.75 * relative_error(weight, nearest, seen));
  EXPECT_LT(relative_error(weight, solved, other), 0.9 * relative_error(weight, nearest, other));
}

INSTANTIATE_TEST_SUITE_P(Cases, Gptq,
                         testing::Combine(testing::Values(3, 4, 8),
                                          testing::Values(32, 64, 128, -1), testing::Bool(),
                                          testing::Values(ColumnOrder::kGroups,
                                                          ColumnOrder::kActivations,
                                                          ColumnOrder::kStored)));

double error_with(const at::Tensor& weight, const at::Tensor& hessian, const GptqOptions& options) {
  const ops::QuantizedParts parts = solve_gptq(weight, hessian, options, "layer");
  return relative_error(weight, ops::QuantizedWeight(parts).dequantize(at::kFloat), hessian);
}

TEST_P(Gptq, EachImprovementLowersTheError) {
  const at::Tensor weight = at::randn({48, 256}) * 0.05;
  const at::Tensor hessian = hessian_of(activations(1000, 256));
  GptqOptions changed = options();
  changed.search_grid = false;
  changed.refinements = 0;
  const double plain = error_with(weight, hessian, changed);
  changed.refinements = 1;
  const double once = error_with(weight, hessian, changed);
  EXPECT_LT(once, 0.998 * plain);
  changed.refinements = 3;
  EXPECT_LE(error_with(weight, hessian, changed), once);
  changed.refinements = 0;
  changed.search_grid = true;
  const double searched = error_with(weight, hessian, changed);
  if (changed.grid.bits == 8) {
    EXPECT_EQ(searched, plain);
  } else {
    EXPECT_LT(searched, 0.98 * plain);
  }
}

TEST(Gptq, NoCodeCouldMoveAloneForTheBetterOnceRefined) {
  at::manual_seed(5);
  const std::int64_t in = 64;
  const at::Tensor weight = at::randn({16, in}) * 0.05;
  const at::Tensor hessian = hessian_of(activations(500, in));
  GptqOptions options;
  options.grid.group_size = 32;
  options.damping = 0;
  options.refinements = 50;
  const ops::QuantizedParts parts = solve_gptq(weight, hessian, options, "layer");
  const at::Tensor error =
      weight.to(at::kDouble) - ops::QuantizedWeight(parts).dequantize(at::kFloat).to(at::kDouble);
  const at::Tensor gradient = at::matmul(error, hessian).contiguous();
  const auto* slopes = gradient.const_data_ptr<double>();
  const at::Tensor curvatures = hessian.diagonal().contiguous();
  for (std::int64_t r = 0; r < 16; ++r) {
    for (std::int64_t j = 0; j < in; ++j) {
      const int code = parts.codes.const_data_ptr<std::uint8_t>()[r * in + j];
      const auto scale =
          static_cast<double>(parts.scales.const_data_ptr<at::Half>()[j / 32 * 16 + r]);
      const double curvature = curvatures.const_data_ptr<double>()[j];
      for (const int step : {-1, 1}) {
        if (code + step < 0 || code + step > 15) continue;
        const double distance = step * scale;
        const double gain = 2 * distance * slopes[r * in + j] - distance * distance * curvature;
        EXPECT_LT(gain, 1e-4 * distance * distance * curvature) << r << " " << j << " " << step;
      }
    }
  }
}

TEST(GridSearch, FindsNoWorseThanMinAndMaxAndNeverLosesAWeight) {
  for (const int bits : {3, 4}) {
    for (const bool symmetric : {false, true}) {
      double searched = 0, whole = 0;
      for (int seed = 0; seed < 50; ++seed) {
        at::manual_seed(seed);
        at::Tensor weights = at::randn({32}) * (seed % 7 == 0 ? 1e-6 : 0.1) + (seed % 3) * 0.05;
        if (seed % 5 == 0) weights = at::zeros({32});
        const at::Tensor importance = at::rand({32}) + 0.01;
        const auto loss = [&](const Grid& grid) {
          double total = 0;
          for (int i = 0; i < 32; ++i) {
            const float w = weights.const_data_ptr<float>()[i];
            const double error = w - grid.value(grid.code(w, bits));
            total += importance.const_data_ptr<float>()[i] * error * error;
          }
          return total;
        };
        const auto* w = weights.const_data_ptr<float>();
        const Grid grid = Grid::search(w, importance.const_data_ptr<float>(), 32, bits, symmetric);
        EXPECT_GE(grid.zero, 1);
        EXPECT_LT(grid.zero, 1 << bits);
        const double found = loss(grid), before = loss(Grid::of(w, 32, bits, symmetric));
        EXPECT_LE(found, before * 1.0001);
        searched += found, whole += before;
      }
      EXPECT_LT(searched, 0.9 * whole);
    }
  }
}

TEST(Gptq, OneThreadAndManyGiveTheSameCodes) {
  at::manual_seed(2);
  const int threads = at::get_num_threads();
  const at::Tensor weight = at::randn({200, 256});
  const at::Tensor x = activations(500, 256).to(at::kBFloat16);
  std::vector<at::Tensor> codes;
  std::vector<double> errors;
  for (const int count : {1, 2, 5}) {
    at::set_num_threads(count);
    const at::Tensor hessian = hessian_of(x);
    GptqOptions options;
    options.order = ColumnOrder::kActivations;
    codes.push_back(solve_gptq(weight, hessian, options, "layer").codes);
    errors.push_back(relative_error(weight, weight * 1.01, hessian));
  }
  at::set_num_threads(threads);
  for (std::size_t i = 1; i < codes.size(); ++i) {
    EXPECT_TRUE(at::equal(codes[i], codes[0]));
    EXPECT_EQ(errors[i], errors[0]);
  }
}

TEST(Gptq, FeaturesThatAreNeverActiveKeepTheirNearestCode) {
  at::manual_seed(4);
  const at::Tensor weight = at::randn({8, 64});
  at::Tensor x = activations(300, 64);
  x.narrow(1, 10, 5).zero_();
  const at::Tensor hessian = hessian_of(x);
  GptqOptions options;
  options.grid.group_size = -1;
  options.search_grid = false;  // the grid of both is then the same
  options.refinements = 0;
  const auto solved = solve_gptq(weight, hessian, options, "layer");
  const auto nearest = round_to_nearest(weight, options.grid, "layer");
  EXPECT_TRUE(at::equal(solved.codes.narrow(1, 10, 5), nearest.codes.narrow(1, 10, 5)));
}

TEST(Gptq, FewerTokensThanFeaturesRaiseTheDamping) {
  at::manual_seed(4);
  const at::Tensor weight = at::randn({8, 128});
  GptqOptions options;
  options.damping = 0;
  const at::Tensor hessian = hessian_of(activations(20, 128));
  const auto parts = solve_gptq(weight, hessian, options, "layer");
  const auto nearest = round_to_nearest(weight, options.grid, "layer");
  EXPECT_LT(relative_error(weight, ops::QuantizedWeight(parts).dequantize(at::kFloat), hessian),
            relative_error(weight, ops::QuantizedWeight(nearest).dequantize(at::kFloat), hessian));
}

TEST(Hessian, IsTheSumOverAllTokensHoweverTheyCome) {
  at::manual_seed(9);
  const at::Tensor x = at::randn({90, 400});
  Hessian parts(400);
  parts.add(x.narrow(0, 0, 33));
  parts.add(x.narrow(0, 33, 57));
  const at::Tensor wide = x.to(at::kDouble);
  EXPECT_TRUE(at::allclose(parts.matrix(), at::matmul(wide.t(), wide), 1e-4, 1e-4));
  EXPECT_EQ(parts.tokens(), 90);
}

TEST(Grid, ReachesBothEndsAndHoldsZero) {
  const std::vector<float> weights{-0.3F, 0.0F, 0.1F, 0.9F};
  for (const bool symmetric : {false, true}) {
    const Grid grid = Grid::of(weights.data(), 4, 4, symmetric);
    EXPECT_NEAR(grid.value(grid.code(0.9F, 4)), 0.9F, grid.scale * 0.51F);
    EXPECT_NEAR(grid.value(grid.code(-0.3F, 4)), -0.3F, grid.scale * 0.51F);
    EXPECT_EQ(grid.value(grid.code(0.0F, 4)), 0.0F);
    if (symmetric) {
      EXPECT_EQ(grid.zero, 8);
    }
  }
}

TEST(Grid, TheZeroIsAtLeastOneWhereNoWeightIsNegative) {
  const std::vector<float> weights{0.2F, 0.4F, 1.4F};
  const Grid grid = Grid::of(weights.data(), 3, 4, false);
  EXPECT_EQ(grid.zero, 1);
  EXPECT_NEAR(grid.value(15), 1.4F, 2e-3F);
}

TEST(Grid, AGroupOfZerosStaysZero) {
  const std::vector<float> weights(5);
  const Grid grid = Grid::of(weights.data(), 5, 8, false);
  EXPECT_EQ(grid.value(grid.code(0.0F, 8)), 0.0F);
  EXPECT_GT(grid.scale, 0.0F);
}

TEST(RoundToNearest, NoWeightIsFartherThanHalfAStep) {
  at::manual_seed(1);
  const at::Tensor weight = at::randn({33, 128});
  for (const int bits : {3, 4, 8}) {
    const auto parts = round_to_nearest(weight, {bits, 64, false}, "layer");
    const at::Tensor distance = (ops::QuantizedWeight(parts).dequantize(at::kFloat) - weight).abs();
    const at::Tensor scales =
        parts.scales.to(at::kFloat).index_select(0, parts.group_of.to(at::kLong)).t();
    // Past the ends of the grid by what rounding its scale and zero takes away.
    EXPECT_LT((distance / scales).max().item<float>(), 1.01F + 0.13F);
    EXPECT_LT((distance / scales).mean().item<float>(), 0.27F);
  }
}

TEST(Quantize, WhatCannotBeIsNamedInOneLine) {
  const auto message = [](const at::Tensor& weight, const GridOptions& options) -> std::string {
    try {
      round_to_nearest(weight, options, "model.layers.0.q_proj");
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_status(), 2);
      return error.what();
    }
    return "";
  };
  at::Tensor weight = at::ones({4, 96});
  EXPECT_EQ(message(weight, {4, 32, false}), "");
  EXPECT_EQ(message(weight, {4, 64, false}),
            "model.layers.0.q_proj: groups of 64 do not divide its 96 input features; give "
            "--group-size 32, or -1 (whole rows)");
  EXPECT_EQ(message(weight, {5, 32, false}), "--bits 5: 3, 4 and 8 are supported");
  EXPECT_EQ(message(weight, {4, 48, false}),
            "--group-size 48: 32, 64, 128 and -1 (the whole row) are supported");
  weight[1][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(message(weight, {4, 32, false}),
            "model.layers.0.q_proj: the weight holds an infinity or NaN; the model is damaged");
  at::Tensor hessian = at::eye(96, at::kDouble);
  hessian[0][0] = std::numeric_limits<double>::infinity();
  GptqOptions gptq;
  gptq.grid = {4, 32, false};
  EXPECT_THROW(solve_gptq(at::ones({4, 96}), hessian, gptq, "layer"), Error);
}

}  // namespace
}  // namespace tigerbot::quant
