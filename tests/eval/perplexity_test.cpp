#include "eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace tigerbot {
namespace {

std::filesystem::path default_model() {
  const auto path = cache_folder() / "models" / "smollm2-135m-instruct";
  if (!std::filesystem::exists(path)) {
    fail("{} is missing: run `tigerbot pull smollm2-135m-instruct`", path.string());
  }
  return path;
}

// The figures of transformers in float32; see tests/golden/perplexity.py.
TEST(Perplexity, EqualsTransformersForTheSameWindows) {
  const std::string root = TIGERBOT_SOURCE_DIR;
  const std::string text = read_file(root + "/LICENSE");
  const auto golden = nlohmann::json::parse(read_file(root + "/tests/golden/perplexity.json"));
  LanguageModel model(default_model(), at::kFloat, at::kCPU);
  for (const auto& expected : golden) {
    const Perplexity result = measure_perplexity(
        model, text,
        {expected["context"].get<std::int64_t>(), expected["stride"].get<std::int64_t>()});
    const double perplexity =
        std::exp(expected["nll"].get<double>() / expected["tokens"].get<double>());
    EXPECT_EQ(result.tokens, expected["tokens"].get<std::int64_t>());
    EXPECT_NEAR(result.perplexity() / perplexity, 1.0, 5e-5);
    EXPECT_NEAR(result.next_token_accuracy(),
                expected["correct"].get<double>() / expected["tokens"].get<double>(), 5e-4);
  }
}

TEST(Perplexity, WindowsThatDoNotFitAreRefused) {
  LanguageModel model(default_model(), std::nullopt, at::kCPU);
  EXPECT_THROW(measure_perplexity(model, "some text", {1, 0}), Error);
  EXPECT_THROW(measure_perplexity(model, "some text", {1'000'000, 0}), Error);
  EXPECT_THROW(measure_perplexity(model, "some text", {64, 65}), Error);
  EXPECT_THROW(measure_perplexity(model, "a", {64, 64}), Error);
}

}  // namespace
}  // namespace tigerbot
