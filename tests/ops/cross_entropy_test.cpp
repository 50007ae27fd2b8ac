#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "ops/composed.h"
#include "ops/numeric.h"
#include "ops/ops.h"

namespace tigerbot::ops {
namespace {

at::Tensor labels_for(std::int64_t tokens, std::int64_t pieces, int ignored_every) {
  at::Tensor labels = at::empty({tokens}, at::kLong);
  for (std::int64_t t = 0; t < tokens; ++t) {
    labels[t] = ignored_every > 0 && t % ignored_every == 1 ? -100 : (t * 7919 + 3) % pieces;
  }
  return labels;
}

Function loss_of(const at::Tensor& labels, const at::Tensor& token_weights) {
  return [=](const Tensors& in) {
    return Tensors{cross_entropy(in[0], in[1], labels, token_weights).loss};
  };
}

TEST(CrossEntropy, Float64EqualsTheFormula) {
  const at::Tensor hidden = random_tensor({6, 5}, 1);
  const at::Tensor weight = random_tensor({11, 5}, 2);
  const at::Tensor labels = labels_for(6, 11, 3);
  const CrossEntropy result = cross_entropy(hidden, weight, labels);
  const at::Tensor logits = hidden.matmul(weight.t());
  double total = 0;
  for (int t = 0; t < 6; ++t) {
    const auto label = labels[t].item<std::int64_t>();
    if (label < 0) {
      EXPECT_EQ(result.token_losses[t].item<double>(), 0);
      EXPECT_FALSE(result.correct[t].item<bool>());
      continue;
    }
    double sum = 0;
    std::int64_t best = 0;
    for (int j = 0; j < 11; ++j) {
      sum += std::exp(logits[t][j].item<double>());
      if (logits[t][j].item<double>() > logits[t][best].item<double>()) best = j;
    }
    const double loss = std::log(sum) - logits[t][label].item<double>();
    total += loss;
    EXPECT_NEAR(result.token_losses[t].item<double>(), loss, 1e-12);
    EXPECT_EQ(result.correct[t].item<bool>(), best == label);
  }
  EXPECT_NEAR(result.loss.item<double>(), total, 1e-11);
}

TEST(CrossEntropy, GradientsMatchDifferences) {
  const at::Tensor hidden = random_tensor({5, 4}, 1);
  const at::Tensor weight = random_tensor({7, 4}, 2);
  const at::Tensor weights = random_tensor({5}, 3).to(at::kFloat);
  expect_gradients_match_differences(loss_of(labels_for(5, 7, 3), {}), {hidden, weight});
  expect_gradients_match_differences(loss_of(labels_for(5, 7, 0), weights), {hidden, weight});
}

// Against float64 of the same numbers. bfloat16 logits are rounded, so its bound is its own.
void expect_matches_float64(std::int64_t tokens, std::int64_t pieces, std::int64_t features,
                            int ignored_every, bool weighted) {
  const at::Tensor hidden = random_tensor({tokens, features}, 1);
  const at::Tensor weight = random_tensor({pieces, features}, 2, 2.0 / std::sqrt(features));
  const at::Tensor labels = labels_for(tokens, pieces, ignored_every);
  const at::Tensor token_weights =
      weighted ? random_tensor({tokens}, 3).to(at::kFloat) : at::Tensor();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Tensors stored = {hidden.to(type), weight.to(type)};
    const Tensors exact = {stored[0].to(at::kDouble), stored[1].to(at::kDouble)};
    const Evaluation expected = evaluate(loss_of(labels, token_weights), exact);
    const CrossEntropy plain = cross_entropy(exact[0], exact[1], labels, token_weights);
    const double tolerance = type == at::kFloat ? 3e-6 : 1e-2;
    for (const cpu::Isa isa : available_isas()) {
      const cpu::ScopedIsaLimit limit(isa);
      const std::string what = fmt::format("{} tokens, {} pieces, {} on {}", tokens, pieces,
                                           c10::toString(type), cpu::isa_name(isa));
      const Evaluation actual = evaluate(loss_of(labels, token_weights), stored);
      const CrossEntropy fused = cross_entropy(stored[0], stored[1], labels, token_weights);
      expect_close(fused.token_losses, plain.token_losses, tolerance, what + ", losses");
      expect_close(actual.outputs[0], fused.loss, 0, what + ", loss with gradients");
      expect_close_overall(actual.gradients[0], expected.gradients[0], tolerance,
                           what + ", d hidden");
      expect_close_overall(actual.gradients[1], expected.gradients[1], tolerance,
                           what + ", d weight");
      if (type == at::kFloat) expect_same_bits(fused.correct, plain.correct, what + ", correct");
    }
  }
}

TEST(CrossEntropy, KernelsMatchFloat64AtOddSizes) {
  expect_matches_float64(1, 1, 3, 0, false);
  expect_matches_float64(3, 17, 8, 0, false);
  expect_matches_float64(5, 100, 16, 2, true);
  expect_matches_float64(33, 1003, 24, 5, false);
}

TEST(CrossEntropy, ManyChunksAndWeightBlocksAddUp) {
  expect_matches_float64(700, 4099, 12, 0, true);
  expect_matches_float64(600, 301, 33, 4, false);
}

TEST(CrossEntropy, ManyBfloat16ChunksLoseNoMoreThanOneRounding) {
  // 2,048 equal tokens: the gradient of each piece is 2,048 times one token's. Sums kept in
  // bfloat16 alone would stop growing.
  const std::int64_t tokens = 2048;
  const at::Tensor one = random_tensor({1, 8}, 1).to(at::kBFloat16);
  const at::Tensor hidden = one.expand({tokens, 8}).contiguous();
  const at::Tensor weight = random_tensor({40, 8}, 2).to(at::kBFloat16);
  const auto gradient = [&](const at::Tensor& h, std::int64_t count) {
    return evaluate(loss_of(at::full({count}, 3, at::kLong), {}), {h, weight}).gradients[1];
  };
  expect_close(gradient(hidden, tokens), gradient(one, 1).to(at::kFloat) * tokens, 6e-3, "sum");
}

TEST(CrossEntropy, ThreadCountDoesNotMatter) {
  const at::Tensor labels = labels_for(600, 517, 7);
  expect_thread_count_does_not_matter(loss_of(labels, {}),
                                      {random_tensor({600, 32}, 1), random_tensor({517, 32}, 2)});
}

TEST(CrossEntropy, ComposedFormAgreesOnFloat32) {
  const at::Tensor labels = labels_for(300, 65, 3);
  const at::Tensor hidden = random_tensor({300, 16}, 1).to(at::kFloat);
  const at::Tensor weight = random_tensor({65, 16}, 2).to(at::kFloat);
  const Function composed = [&](const Tensors& in) {
    return Tensors{composed::cross_entropy(in[0], in[1], labels, {}).loss};
  };
  const Evaluation plain = evaluate(composed, {hidden, weight});
  const Evaluation fused = evaluate(loss_of(labels, {}), {hidden, weight});
  expect_close(fused.outputs[0], plain.outputs[0], 1e-5, "loss");
  expect_close(fused.gradients[0], plain.gradients[0], 1e-5, "d hidden");
  expect_close(fused.gradients[1], plain.gradients[1], 1e-5, "d weight");
}

TEST(CrossEntropy, OfEqualLogitsTheFirstIsTheMostLikely) {
  const at::Tensor hidden = at::full({2, 4}, 1.0, at::kFloat);
  const at::Tensor weight = at::full({40, 4}, 0.5, at::kFloat);
  at::Tensor labels = at::empty({2}, at::kLong);
  labels[0] = 0;
  labels[1] = 1;
  const CrossEntropy result = cross_entropy(hidden, weight, labels);
  EXPECT_TRUE(result.correct[0].item<bool>());
  EXPECT_FALSE(result.correct[1].item<bool>());
  EXPECT_NEAR(result.token_losses[0].item<double>(), std::log(40.0), 1e-5);
}

TEST(CrossEntropy, AllIgnoredOrNoTokensGivesZero) {
  for (const std::int64_t tokens : {0, 3}) {
    const at::Tensor hidden = random_tensor({tokens, 4}, 1).to(at::kFloat);
    const at::Tensor weight = random_tensor({9, 4}, 2).to(at::kFloat);
    const Evaluation result =
        evaluate(loss_of(at::full({tokens}, -100, at::kLong), {}), {hidden, weight});
    EXPECT_EQ(result.outputs[0].item<double>(), 0);
    EXPECT_EQ(result.gradients[0].abs().sum().item<double>(), 0);
    EXPECT_EQ(result.gradients[1].abs().sum().item<double>(), 0);
  }
}

TEST(CrossEntropy, AFrozenWeightGetsNoGradient) {
  const at::Tensor hidden = random_tensor({3, 4}, 1).to(at::kFloat).set_requires_grad(true);
  const at::Tensor weight = random_tensor({9, 4}, 2).to(at::kFloat);
  (cross_entropy(hidden, weight, labels_for(3, 9, 0)).loss * 0.5).backward();
  EXPECT_TRUE(hidden.grad().defined());
  EXPECT_FALSE(weight.grad().defined());
}

TEST(CrossEntropy, RefusesWhatDoesNotFit) {
  const at::Tensor hidden = random_tensor({3, 4}, 1).to(at::kFloat);
  const at::Tensor weight = random_tensor({9, 4}, 2).to(at::kFloat);
  const at::Tensor labels = labels_for(3, 9, 0);
  expect_error([&] { cross_entropy(hidden, weight.narrow(1, 0, 3), labels); },
               "cross_entropy: weight is float32 [9, 3]; expected shape [any, 4]");
  expect_error([&] { cross_entropy(hidden, weight, labels.narrow(0, 0, 2)); }, "labels");
  expect_error([&] { cross_entropy(hidden, weight, labels.to(at::kInt)); }, "int32");
  expect_error([&] { cross_entropy(hidden, weight, labels + 9); }, "has label");
  expect_error([&] { cross_entropy(hidden, weight.to(at::kBFloat16), labels); }, "must agree");
}

}  // namespace
}  // namespace tigerbot::ops
