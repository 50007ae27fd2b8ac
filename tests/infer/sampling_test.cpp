#include "infer/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/error.h"

namespace tigerbot {
namespace {

std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

/// How often each token comes in `draws` first draws with different seeds.
std::map<TokenId, int> frequencies(SamplingOptions options,
                                   const std::vector<double>& probabilities, int draws) {
  std::map<TokenId, int> counts;
  for (int i = 0; i < draws; ++i) {
    options.seed = static_cast<std::uint64_t>(i);
    std::vector<float> logits = logits_of(probabilities);
    ++counts[Sampler(options, {}).sample(logits)];
  }
  return counts;
}

TEST(Sampler, TemperatureZeroTakesTheLowestOfTheMostLikely) {
  std::vector<float> logits = {1, 5, 5, 2};
  EXPECT_EQ(Sampler({}, {}).sample(logits), 1);
}

TEST(Sampler, DrawsInProportionToProbability) {
  SamplingOptions options;
  options.temperature = 1;
  const auto counts = frequencies(options, {0.5, 0.3, 0.2}, 20000);
  EXPECT_NEAR(counts.at(0), 10000, 300);
  EXPECT_NEAR(counts.at(1), 6000, 300);
  EXPECT_NEAR(counts.at(2), 4000, 300);
}

TEST(Sampler, TemperatureSharpens) {
  SamplingOptions options;
  options.temperature = 0.5;  // squares the odds: 0.25, 0.09, 0.04 of 0.38
  const auto counts = frequencies(options, {0.5, 0.3, 0.2}, 20000);
  EXPECT_NEAR(counts.at(0), 20000 * 0.25 / 0.38, 300);
  EXPECT_NEAR(counts.at(2), 20000 * 0.04 / 0.38, 200);
}

TEST(Sampler, TopKTopPAndMinPKeepWhatTheySay) {
  const std::vector<double> probabilities = {0.1, 0.4, 0.2, 0.3};
  const auto kept = [&](auto set) {
    SamplingOptions options;
    options.temperature = 1;
    set(options);
    std::vector<TokenId> ids;
    for (const auto& [id, count] : frequencies(options, probabilities, 2000)) ids.push_back(id);
    return ids;
  };
  EXPECT_EQ(kept([](auto& o) { o.top_k = 2; }), (std::vector<TokenId>{1, 3}));
  EXPECT_EQ(kept([](auto& o) { o.top_p = 0.65; }), (std::vector<TokenId>{1, 3}));
  EXPECT_EQ(kept([](auto& o) { o.top_p = 0.75; }), (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(kept([](auto& o) { o.top_p = 1e-9; }), (std::vector<TokenId>{1}));
  EXPECT_EQ(kept([](auto& o) { o.min_p = 0.45; }), (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(kept([](auto& o) { o.min_p = 1; }), (std::vector<TokenId>{1}));
  EXPECT_EQ(kept([](auto&) {}), (std::vector<TokenId>{0, 1, 2, 3}));
}

TEST(Sampler, PenaltiesMoveTheLogits) {
  const std::vector<TokenId> prompt = {0};
  SamplingOptions options;
  options.repetition_penalty = 2;
  std::vector<float> logits = {3, 2, -1};
  EXPECT_EQ(Sampler(options, prompt).sample(logits), 1);
  EXPECT_FLOAT_EQ(logits[0], 1.5F);
  EXPECT_FLOAT_EQ(logits[2], -1.0F);

  options = {};
  options.frequency_penalty = 1;
  options.presence_penalty = 0.5;
  Sampler sampler(options, prompt);
  for (const TokenId expected : {0, 0, 1}) {  // 3; 3 - 1.5 = 1.5; 3 - 2.5 = 0.5 < 1.4
    logits = {3, 1.4F, 0};
    EXPECT_EQ(sampler.sample(logits), expected);
  }
}

TEST(Sampler, SameSeedSameTokens) {
  SamplingOptions options;
  options.temperature = 1;
  const auto answer = [&](std::uint64_t seed) {
    options.seed = seed;
    Sampler sampler(options, {});
    std::vector<TokenId> ids;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> logits(100, 0.0F);
      ids.push_back(sampler.sample(logits));
    }
    return ids;
  };
  EXPECT_EQ(answer(7), answer(7));
  EXPECT_NE(answer(7), answer(8));
}

TEST(Sampler, OptionsOutOfRangeAreNamed) {
  SamplingOptions options;
  options.top_p = 0;
  EXPECT_THROW(Sampler(options, {}), Error);
  options = {};
  options.temperature = -1;
  EXPECT_THROW(Sampler(options, {}), Error);
  options = {};
  options.temperature = 1;
  std::vector<float> logits = {0, INFINITY};
  EXPECT_THROW(Sampler(options, {}).sample(logits), Error);
}

}  // namespace
}  // namespace tigerbot
