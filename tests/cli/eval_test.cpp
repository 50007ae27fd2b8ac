#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cli/program.h"

namespace tigerbot {
namespace {

constexpr const char* kModel = "smollm2-135m-instruct";

TEST(Eval, NextTokenAccuracyIsCountedByRowSourceAndLanguage) {
  const TemporaryFolder folder;
  write_all(
      folder / "rows.jsonl",
      R"({"prompt": "1, 2, 3, 4, 5, 6,", "answer": " 7, 8, 9", "source": "a", "language": "en"}
{"prompt": "Monday, Tuesday, Wednesday,", "answer": " Thursday, Friday", "source": "a", "language": "en"}
{"prompt": "A b c d e f g h", "answer": " zebra", "source": "b", "language": "x"}
)");
  const ProgramResult result =
      run_tigerbot({"eval", kModel, "--next-token", folder / "rows.jsonl", "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto all = nlohmann::json::parse(result.out);
  EXPECT_EQ(all["rows"], 3);
  const auto& a = all["by_source"]["a"];
  const auto& b = all["by_source"]["b"];
  EXPECT_EQ(a, all["by_language"]["en"]);
  EXPECT_EQ(a["tokens"].get<int>() + b["tokens"].get<int>(), all["tokens"].get<int>());
  EXPECT_GE(a["accuracy"].get<double>(), 0.9);
  EXPECT_LT(b["accuracy"].get<double>(), 0.6);
  EXPECT_LT(a["loss"].get<double>(), b["loss"].get<double>());

  const ProgramResult sampled = run_tigerbot(
      {"eval", kModel, "--next-token", folder / "rows.jsonl", "--max-rows", "2", "--seed", "1"});
  ASSERT_EQ(sampled.status, 0) << sampled.err;
  EXPECT_NE(sampled.out.find("all "), std::string::npos) << sampled.out;
}

TEST(Eval, PerplexityThroughACacheIsThatOfGeneration) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 12; ++i) {
    text += "Chapter " + std::to_string(i) + ". The sun rose over the hills, and the birds sang. ";
  }
  write_all(folder / "text.txt", text);
  const auto nll = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {
        "eval", kModel, "--perplexity", folder / "text.txt", "--json", "--context", "64"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const ProgramResult result = run_tigerbot(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    const auto json = nlohmann::json::parse(result.out);
    return json["nll"].get<double>() / json["tokens"].get<double>();
  };
  const double whole = nll({});
  const double cached = nll({"--kv-cache-dtype", "auto"});
  const double quantized = nll({"--kv-cache-dtype", "int8"});
  EXPECT_NEAR(cached, whole, 0.01);
  EXPECT_NE(quantized, cached);
  EXPECT_NEAR(quantized, cached, 0.02);
}

}  // namespace
}  // namespace tigerbot
