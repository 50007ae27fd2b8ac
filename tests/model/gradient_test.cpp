#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "model/decoder.h"
#include "model/golden.h"
#include "model/hashed_weights.h"

namespace tigerbot {
namespace {

/// Every token's label is the next one of its sequence; the last has none.
at::Tensor next_token_labels(const GoldenBatch& batch) {
  at::Tensor labels = at::full({batch.ids.size(0)}, -100, at::kLong);
  for (std::int64_t i = 0; i < batch.sequences.count(); ++i) {
    const auto begin = batch.sequences.cu_seqlens[i], end = batch.sequences.cu_seqlens[i + 1];
    labels.slice(0, begin, end - 1).copy_(batch.ids.slice(0, begin + 1, end));
  }
  return labels;
}

/// Mean negative log-likelihood of the next token.
at::Tensor mean_loss(Decoder& decoder, const GoldenBatch& batch) {
  const at::Tensor labels = next_token_labels(batch);
  const at::Tensor hidden = decoder.forward(batch.ids, batch.sequences);
  const at::Tensor loss = ops::cross_entropy(hidden, decoder.output_weight(), labels).loss;
  return loss / labels.ge(0).sum().item<double>();
}

std::unique_ptr<Decoder> trainable(const Json& row, at::ScalarType dtype) {
  auto decoder = make_decoder(golden_config(row), hashed_source(), dtype);
  for (const Parameter& parameter : decoder->parameters())
    parameter.tensor->set_requires_grad(true);
  return decoder;
}

TEST(Gradients, AreTransformersGradientsOfEveryParameter) {
  for (const Json& row : read_golden("gradients")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    const auto decoder = trainable(row, at::kFloat);
    const at::Tensor loss = mean_loss(*decoder, golden_batch(row));
    EXPECT_NEAR(loss.item<double>(), row.at("loss").get<double>(), 1e-5);
    loss.backward();
    ASSERT_EQ(decoder->parameters().size(), row.at("gradients").size());
    for (const Parameter& parameter : decoder->parameters()) {
      SCOPED_TRACE(parameter.name);
      const Json& expected = row.at("gradients").at(parameter.name);
      ASSERT_TRUE(parameter.tensor->grad().defined());
      const at::Tensor gradient = parameter.tensor->grad().flatten().to(at::kDouble);
      const at::Tensor direction =
          hashed_uniform(parameter.name + ".direction", gradient.numel()).to(at::kDouble);
      const double norm = expected.at("norm").get<double>();
      // A key bias moves every score of a query alike: its true gradient is 0, all else is
      // rounding.
      const double tolerance = 1e-4 * norm + 1e-7;
      EXPECT_NEAR(gradient.norm().item<double>(), norm, tolerance);
      EXPECT_NEAR(gradient.dot(direction).item<double>(), expected.at("projection").get<double>(),
                  tolerance * std::sqrt(static_cast<double>(gradient.numel())));
      EXPECT_NEAR(gradient[-1].item<double>(), expected.at("last").get<double>(), tolerance);
    }
  }
}

TEST(Gradients, AreTheSlopesOfTheLossInFloat64) {
  for (const Json& row : read_golden("gradients")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    const auto decoder = trainable(row, at::kDouble);
    const GoldenBatch batch = golden_batch(row);
    mean_loss(*decoder, batch).backward();
    for (const Parameter& parameter : decoder->parameters()) {
      SCOPED_TRACE(parameter.name);
      const at::Tensor direction =
          hashed_uniform(parameter.name + ".slope", parameter.tensor->numel())
              .to(at::kDouble)
              .view(parameter.shape);
      const double slope = (parameter.tensor->grad() * direction).sum().item<double>();
      const at::NoGradGuard no_grad;
      constexpr double kStep = 1e-5;
      const auto loss_after = [&](double move) {
        parameter.tensor->add_(direction, move);
        return mean_loss(*decoder, batch).item<double>();
      };
      const double above = loss_after(kStep);
      const double below = loss_after(-2 * kStep);
      parameter.tensor->add_(direction, kStep);
      EXPECT_NEAR((above - below) / (2 * kStep), slope, 1e-7 * std::max(1.0, std::abs(slope)));
    }
  }
}

}  // namespace
}  // namespace tigerbot
