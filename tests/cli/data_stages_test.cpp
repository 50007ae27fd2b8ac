#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "cli/program.h"

/// Quality, harmful content and overlap from a recipe to the rows and the report.
namespace tigerbot {
namespace {

std::string sentence(std::mt19937_64& random, const std::vector<std::string>& words) {
  std::string text;
  for (int k = 0; k < 12; ++k) text += (k > 0 ? " " : "") + words[random() % words.size()];
  return text + ".";
}

std::string text_of(std::mt19937_64& random, const std::vector<std::string>& words, int sentences) {
  std::string text;
  for (int k = 0; k < sentences; ++k) text += (k > 0 ? " " : "") + sentence(random, words);
  return text;
}

const std::vector<std::string> kGood{"the",     "river", "valley",  "of",    "is",
                                     "ancient", "stone", "bridges", "which", "describe",
                                     "history", "and",   "careful", "study", "water"};
const std::vector<std::string> kBad{"click", "buy",  "now",   "win",   "cheap", "free", "offer",
                                    "deal",  "sale", "order", "today", "best",  "price"};

std::string row(const std::string& text) { return nlohmann::json{{"text", text}}.dump() + "\n"; }

std::size_t dropped(const std::string& output, const std::string& reason) {
  const ProgramResult show =
      run_tigerbot({"data", "show", output, "--reason", reason, "--limit", "1000", "--json"});
  EXPECT_EQ(show.status, 0) << show.err;
  return static_cast<std::size_t>(std::count(show.out.begin(), show.out.end(), '\n'));
}

TEST(DataStages, QualityHarmfulAndOverlapRunFromARecipe) {
  const TemporaryFolder folder;
  std::mt19937_64 random(3);  // NOLINT: the same texts each time
  std::string good, bad, rows;
  for (int k = 0; k < 300; ++k) {
    good += row(text_of(random, kGood, 4));
    bad += row(text_of(random, kBad, 4));
  }
  write_all(folder / "good.jsonl", good);
  write_all(folder / "bad.jsonl", bad);
  ASSERT_EQ(run_tigerbot({"data", "train-quality", folder / "quality.bin", "--good",
                          folder / "good.jsonl", "--bad", folder / "bad.jsonl"})
                .status,
            0);
  // 20 that stay, 10 of each fault.
  const std::string question = text_of(random, kGood, 3);
  for (int k = 0; k < 20; ++k) rows += row(text_of(random, kGood, 5));
  for (int k = 0; k < 10; ++k) {
    rows += row(text_of(random, kBad, 5));
    rows += row(text_of(random, kGood, 2) + " Casino, c*a*s*i*n*o and jackpot. " +
                text_of(random, kGood, 2));
    rows += row(text_of(random, kGood, 2) + " " + question + " " + text_of(random, kGood, 2));
  }
  write_all(folder / "s.jsonl", rows);
  write_all(folder / "words.txt", "casino\njackpot\n");
  write_all(folder / "exam.jsonl", nlohmann::json{{"question", question}}.dump() + "\n");
  write_all(folder / "r.toml", R"(
[run]
output = "out"
[[source]]
name = "s"
files = "s.jsonl"
[[stage]]
kind = "quality"
model = "quality.bin"
[[stage]]
kind = "harmful"
max_density = 4
[[stage.dictionary]]
path = "words.txt"
category = "gambling"
[[stage]]
kind = "overlap"
sets = "exam.jsonl"
[[stage]]
kind = "exact_duplicates"
[output]
compression = "none"
)");
  // A single name in place of a list is an error with its place.
  const ProgramResult wrong = run_tigerbot({"data", "build", folder / "r.toml"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("sets"), std::string::npos) << wrong.err;
  std::string recipe = read_all(folder / "r.toml");
  recipe.replace(recipe.find("\"exam.jsonl\""), 12, "[\"exam.jsonl\"]");
  write_all(folder / "r.toml", recipe);
  const ProgramResult build = run_tigerbot({"data", "build", folder / "r.toml", "--json"});
  ASSERT_EQ(build.status, 0) << build.err;

  EXPECT_EQ(dropped(folder / "out", "quality.low"), 10u);
  EXPECT_EQ(dropped(folder / "out", "harmful.dictionary"), 10u);
  EXPECT_EQ(dropped(folder / "out", "overlap.ngram"), 10u);
  const std::string overlap =
      run_tigerbot({"data", "show", folder / "out", "--reason", "overlap.ngram", "--json"}).out;
  EXPECT_NE(overlap.find("exam.jsonl row 0"), std::string::npos) << overlap;
  const std::string harmful =
      run_tigerbot({"data", "show", folder / "out", "--reason", "harmful", "--json"}).out;
  EXPECT_NE(harmful.find("gambling"), std::string::npos) << harmful;
  std::size_t kept = 0;
  std::string shard = read_all(folder / "out/train-00000.jsonl");
  for (std::size_t at = 0; at < shard.size(); at = shard.find('\n', at) + 1) {
    const auto kept_row = nlohmann::json::parse(shard.substr(at, shard.find('\n', at) - at));
    EXPECT_GT(kept_row.at("scores").at("quality").get<double>(), 0.5);
    EXPECT_EQ(kept_row.at("provenance").at("stages"),
              nlohmann::json::parse(R"(["quality","harmful","overlap","exact_duplicates"])"));
    ++kept;
  }
  EXPECT_EQ(kept, 20u);
  const std::string page = read_all(folder / "out/report.html");
  for (const char* word : {"quality.low", "harmful.dictionary", "overlap.ngram", "exam.jsonl"})
    EXPECT_NE(page.find(word), std::string::npos) << word;
}

}  // namespace
}  // namespace tigerbot
