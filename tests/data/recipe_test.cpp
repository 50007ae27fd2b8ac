#include "data/recipe.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/scratch_folder.h"

namespace tigerbot::data {
namespace {

using testing::error_of;
using testing::ScratchFolder;

constexpr const char* kSmall = R"(
[run]
output = "out"
[[source]]
name = "manuals"
kind = "books"
files = "texts/*.jsonl"
)";

Recipe recipe_of(const ScratchFolder& folder, const std::string& text) {
  write_file(folder / "recipe.toml", text);
  return read_recipe(folder / "recipe.toml");
}

TEST(Recipe, DefaultsAreFilledInAndPathsStartAtTheRecipe) {
  const ScratchFolder folder;
  const Recipe recipe = recipe_of(folder, kSmall);
  EXPECT_EQ(recipe.run.name, "recipe");
  EXPECT_EQ(recipe.run.output, folder / "out");
  EXPECT_EQ(recipe.run.memory_limit, 2ull << 30);
  EXPECT_FALSE(recipe.run.bad_row_limit);
  ASSERT_EQ(recipe.sources.size(), 1u);
  EXPECT_EQ(recipe.sources[0].files, std::vector<std::string>{"texts/*.jsonl"});
  EXPECT_EQ(recipe.mixture.by, Measure::kBytes);
  EXPECT_TRUE(recipe.output.compress);
}

TEST(Recipe, GlobalStagesStandAfterTheOthersInOrder) {
  const ScratchFolder folder;
  const Recipe recipe = recipe_of(
      folder,
      std::string(kSmall) +
          "[[stage]]\nkind = \"exact_duplicates\"\n[[stage]]\nkind = \"near_duplicates\"\n");
  ASSERT_EQ(recipe.global_stages.size(), 2u);
  EXPECT_EQ(recipe.global_stages[0].kind, "exact_duplicates");
  EXPECT_EQ(recipe.global_stages[1].place, "stage[1]");
}

TEST(Recipe, MistakesAreOneLineWithTheNearestWord) {
  const ScratchFolder folder;
  const auto error = [&](const std::string& more) {
    return error_of([&] { recipe_of(folder, kSmall + more); });
  };
  const auto expect = [&](const std::string& more, const std::string& part) {
    const std::string message = error(more);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find("recipe.toml"), std::string::npos) << message;
  };
  expect("[outptu]\n", "unknown key \"outptu\"; did you mean \"output\"?");
  expect("[output]\nshard_byte = 1\n", "did you mean \"shard_bytes\"?");
  expect(
      "[[stage]]\nkind = \"exact_duplicate\"\n",
      "stage[0].kind: there is no stage \"exact_duplicate\"; did you mean \"exact_duplicates\"?");
  expect("[output]\ncompression = \"gzip\"\n", "must be one of zstd, none");
  expect("[output]\nshard_bytes = \"many\"\n", "a text such as \"2 GiB\"");
  expect("[output]\nvalidation = 0.9\n", "must be from 0 to 0.5");
  expect("[mixture]\nby = \"token\"\n", "did you mean \"tokens\"?");
  expect("[mixture]\nby = \"tokens\"\n", "mixture.tokenizer is missing");
  expect("[mixture.shares]\nmanual = 0.5\n",
         "there is no source or kind \"manual\"; did you mean \"manuals\"?");
  expect("[mixture.shares]\nmanuals = 1.5\n", "add up to 1.5");
  expect("[mixture.shares]\nmanuals = 0.5\nbooks = 0.5\n", "give one of them");
  expect("[[source]]\nname = \"manuals\"\nfiles = \"x\"\n", "two sources are called \"manuals\"");
  expect("[[source]]\nname = \"b\"\nfile = \"x\"\n",
         "source[1].files is missing; is \"file\" a misspelling of it?");
  expect("[[source]]\nname = \"b\"\nfiles = []\n", "is empty");
  EXPECT_NE(error_of([&] { recipe_of(folder, "[run]\noutput = \"o\"\n"); }).find("source"),
            std::string::npos);
}

TEST(ParseBytes, TakesNumbersAndUnits) {
  EXPECT_EQ(parse_bytes(Json(1234), "x"), 1234u);
  EXPECT_EQ(parse_bytes(Json("2 GiB"), "x"), 2ull << 30);
  EXPECT_EQ(parse_bytes(Json("500MB"), "x"), 500'000'000u);
  EXPECT_EQ(parse_bytes(Json(1.5e9), "x"), 1'500'000'000u);
  for (const Json& bad : {Json("2 gigs"), Json("-1"), Json(-1), Json(""), Json(true), Json("nan")})
    EXPECT_NE(error_of([&] { parse_bytes(bad, "run.memory_limit"); }).find("run.memory_limit must"),
              std::string::npos)
        << bad;
}

}  // namespace
}  // namespace tigerbot::data
