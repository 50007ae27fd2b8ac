#include "data/mixture.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"

namespace tigerbot::data {
namespace {

using testing::error_of;

const std::vector<SourceSupply> kThree{
    {"en-web", "web", 6000}, {"zh-web", "web", 2000}, {"zh-books", "books", 1000}};

MixtureSettings shares(std::map<std::string, double> values) {
  MixtureSettings settings;
  settings.shares = std::move(values);
  return settings;
}

double amount(const MixturePlan& plan, std::size_t k) {
  return plan.factors[k] * static_cast<double>(kThree[k].amount);
}

TEST(Mixture, WithoutSettingsEverythingIsTakenOnce) {
  const MixturePlan plan = plan_mixture({}, kThree, "r");
  EXPECT_EQ(plan.factors, (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(plan.total, 9000);
}

TEST(Mixture, WeightsMultiplyAndATotalScales) {
  MixtureSettings settings;
  settings.weights = {{"web", 0.5}, {"zh-web", 0.25}};
  EXPECT_EQ(plan_mixture(settings, kThree, "r").factors, (std::vector<double>{0.5, 0.25, 1}));
  settings.total = 2250;  // half of 3000 + 500 + 1000
  EXPECT_EQ(plan_mixture(settings, kThree, "r").factors, (std::vector<double>{0.25, 0.125, 0.5}));
}

TEST(Mixture, SharesWithoutATotalGiveTheMostThatNeedsNoCopies) {
  const MixturePlan plan =
      plan_mixture(shares({{"en-web", 0.4}, {"zh-web", 0.4}, {"zh-books", 0.2}}), kThree, "r");
  EXPECT_DOUBLE_EQ(plan.total, 5000);
  EXPECT_DOUBLE_EQ(amount(plan, 0), 2000);
  EXPECT_DOUBLE_EQ(amount(plan, 1), 2000);
  EXPECT_DOUBLE_EQ(amount(plan, 2), 1000);
}

TEST(Mixture, CopiesReachWhatIsScarceUpToTheLimit) {
  MixtureSettings settings = shares({{"zh-books", 0.5}, {"en-web", 0.5}});
  settings.up_sampling_limit = 3;
  const std::vector<SourceSupply> two{kThree[0], kThree[2]};
  const MixturePlan plan = plan_mixture(settings, two, "r");
  EXPECT_DOUBLE_EQ(plan.total, 6000);
  EXPECT_DOUBLE_EQ(plan.factors[0], 0.5);
  EXPECT_DOUBLE_EQ(plan.factors[1], 3);
}

TEST(Mixture, AKindDividesItsShareAndTheRestTakesWhatIsLeft) {
  const MixturePlan plan = plan_mixture(shares({{"web", 0.8}}), kThree, "r");
  EXPECT_DOUBLE_EQ(plan.total, 5000);
  EXPECT_DOUBLE_EQ(amount(plan, 0), 3000);
  EXPECT_DOUBLE_EQ(amount(plan, 1), 1000);
  EXPECT_DOUBLE_EQ(amount(plan, 2), 1000);
}

TEST(Mixture, WhatOneSourceOfAKindCannotGiveTheOthersDo) {
  MixtureSettings settings = shares({{"web", 1.0}});
  settings.weights = {{"zh-web", 100}};
  settings.total = 5000;
  const std::vector<SourceSupply> web{kThree[0], kThree[1]};
  const MixturePlan plan = plan_mixture(settings, web, "r");
  EXPECT_DOUBLE_EQ(plan.factors[1], 1);
  EXPECT_DOUBLE_EQ(amount(plan, 0), 3000);
}

TEST(Mixture, SharesThatCannotBeReachedSayWhatIsThereAndWhatWasAsked) {
  MixtureSettings settings = shares({{"zh-books", 0.5}, {"web", 0.5}});
  settings.total = 4000;
  settings.by = Measure::kTokens;
  const std::string message = error_of([&] { plan_mixture(settings, kThree, "r.toml"); });
  EXPECT_EQ(
      message,
      "r.toml: mixture.shares asks 50% of 4,000 tokens from zh-books, 2,000 tokens, and there "
      "are 1,000 tokens (at up_sampling_limit 1); lower total to 2,000 tokens, raise "
      "up_sampling_limit to 2, or set unreachable = \"nearest\"");
  settings.nearest = true;
  const MixturePlan plan = plan_mixture(settings, kThree, "r.toml");
  EXPECT_DOUBLE_EQ(plan.factors[2], 1);
  EXPECT_DOUBLE_EQ(plan.total, 3000);
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_EQ(plan.notes[0], "zh-books: 2,000 tokens were asked for (50%), 1,000 tokens are there");
}

TEST(Mixture, NothingOfAShareIsNamed) {
  std::vector<SourceSupply> sources = kThree;
  sources[2].amount = 0;
  MixtureSettings settings = shares({{"zh-books", 0.5}, {"web", 0.5}});
  EXPECT_NE(error_of([&] { plan_mixture(settings, sources, "r"); }).find("50% of zh-books"),
            std::string::npos);
  settings.nearest = true;
  EXPECT_DOUBLE_EQ(plan_mixture(settings, sources, "r").total, 8000);
  for (SourceSupply& source : sources) source.amount = 0;
  EXPECT_NE(error_of([&] { plan_mixture(settings, sources, "r"); }).find("nothing is left to mix"),
            std::string::npos);
  EXPECT_NE(error_of([&] { plan_mixture({}, sources, "r"); }).find("nothing is left to mix"),
            std::string::npos);
}

}  // namespace
}  // namespace tigerbot::data
