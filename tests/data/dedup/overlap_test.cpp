#include "data/dedup/overlap.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

class Overlap : public ::testing::Test {
 protected:
  void SetUp() override { create_folders(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<DocumentStage> stage(Json extra = Json::object()) {
    Json entry{{"kind", "overlap"}, {"sets", {(folder_ / "sets").string()}}};
    entry.update(extra);
    JsonReader reader(entry, "recipe.toml", "stage[0]");
    return make_document_stage(reader);
  }
  void set(const std::string& name, const std::string& bytes) {
    create_folders(folder_ / "sets");
    write_file(folder_ / "sets" / name, bytes);
  }
  static Document document_of(const std::string& text) {
    Document document;
    document.text = text;
    return document;
  }

  fs::path folder_ = fs::temp_directory_path() / ("tigerbot_overlap_" + std::to_string(::getpid()));
};

const std::string kQuestion =
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in "
    "May.";

TEST_F(Overlap, ADocumentWithAProtectedQuestionIsDropped) {
  set("gsm8k.jsonl", "{\"question\":\"too short\"}\n{\"question\":\"" + kQuestion + "\"}\n");
  Document document = document_of(
      "Before it. natalia sold  CLIPS to 48 of her friends in April -- "
      "and then she sold half as many clips in may! After it.");
  const auto drop = stage()->apply(document);
  ASSERT_TRUE(drop);
  EXPECT_EQ(drop->reason, "overlap.ngram");
  EXPECT_TRUE(drop->detail.starts_with("gsm8k.jsonl row 1: natalia sold")) << drop->detail;
  EXPECT_EQ(document.metadata["overlap"][0]["row"], 1);
  EXPECT_GT(document.scores["overlap"], 0.5);
}

TEST_F(Overlap, TwelveCommonWordsAreNotEnough) {
  set("gsm8k.jsonl", "{\"question\":\"" + kQuestion + "\"}\n");
  Document document =
      document_of("natalia sold clips to 48 of her friends in april and then it rained");
  EXPECT_FALSE(stage()->apply(document));
  document = document_of("natalia sold clips to 48 of her friends in april and then");
  EXPECT_FALSE(stage()->apply(document));
  document = document_of("natalia sold clips to 48 of her friends in april and then she");
  EXPECT_TRUE(stage()->apply(document));
}

TEST_F(Overlap, ChineseIsCountedInCharacters) {
  set("cmmlu.csv",
      "0,在农业生产中被当作极其重要的劳动对象发挥作用，最主要的不可替代的基本生产资料是,"
      "农业生产工具\n");
  Document document = document_of(
      "有人说：在农业生产中被当作极其重要的劳动对象发挥作用，最主要的不可替代的基本生产资料是土地"
      "。");
  const auto drop = stage()->apply(document);
  ASSERT_TRUE(drop);
  EXPECT_TRUE(drop->detail.starts_with("cmmlu.csv row 0: 在农业生产")) << drop->detail;
  document = document_of("在农业生产中被当作极其重要的劳动对象，而不是别的什么东西。");
  EXPECT_FALSE(stage()->apply(document));
}

TEST_F(Overlap, CutTakesTheSentencesOut) {
  set("gsm8k.jsonl", "{\"question\":\"" + kQuestion + "\"}\n");
  const std::string before = "There was a long text before the question, as there often is. ";
  const std::string after =
      " There was a long text after the question, as there often is. And more.";
  Document document = document_of(before + "Q: she asked, " + kQuestion + after);
  EXPECT_FALSE(stage({{"mode", "cut"}})->apply(document));
  EXPECT_EQ(document.text, before.substr(0, before.size() - 1) + " Q:" + after);
  EXPECT_EQ(document.edits, std::vector<std::string>{"overlap.cut"});
  EXPECT_EQ(document.metadata["overlap"][0]["set"], "gsm8k.jsonl");

  document = document_of("Short. " + kQuestion);
  const auto drop = stage({{"mode", "cut"}})->apply(document);
  ASSERT_TRUE(drop);
  EXPECT_EQ(drop->reason, "overlap.little_left");
}

TEST_F(Overlap, WhatStandsInManyRowsIsAForm) {
  std::string rows;
  const std::string form =
      "Please choose the one right answer to the question that follows from these four choices "
      "here";
  for (int k = 0; k < 11; ++k)
    rows += "{\"input\":\"" + form + "\", \"n\":" + std::to_string(k) + "}\n";
  set("a.jsonl", rows);
  Document document = document_of(form);
  EXPECT_FALSE(stage()->apply(document));
  EXPECT_TRUE(stage({{"common_rows", 11}})->apply(document));
}

TEST_F(Overlap, JsonArraysAndNestedFieldsAreRead) {
  set("squad.json",
      R"({"data":[{"title":"x"},{"paragraphs":[{"context":")" + kQuestion + R"("}]}]})");
  Document document = document_of(kQuestion);
  const auto drop = stage()->apply(document);
  ASSERT_TRUE(drop);
  EXPECT_TRUE(drop->detail.starts_with("squad.json row 1: ")) << drop->detail;
  EXPECT_TRUE(stage({{"fields", {"context"}}})->apply(document));
  EXPECT_FALSE(stage({{"fields", {"title"}}})->apply(document));
}

TEST_F(Overlap, WrongKeysAndMissingSetsAreErrors) {
  EXPECT_THROW(stage(), Error);  // the folder is not there
  set("a.jsonl", "{\"question\": broken\n");
  EXPECT_THROW(stage(), Error);
  set("a.jsonl", "{}\n");
  EXPECT_NO_THROW(stage());
  EXPECT_THROW(stage({{"mode", "remove"}}), Error);
  EXPECT_THROW(stage({{"word", 13}}), Error);
  EXPECT_THROW(stage({{"words", 0}}), Error);
}

TEST_F(Overlap, RealBenchmarksAreProtected) {
  const fs::path benchmarks = TIGERBOT_SOURCE_DIR "/../shared/benchmarks";
  if (!fs::exists(benchmarks / "gsm8k.jsonl")) GTEST_SKIP() << "no benchmarks beside the checkout";
  Json sets = Json::array();
  for (const auto& entry : fs::directory_iterator(benchmarks))
    if (entry.path().filename() != "MANIFEST.json") sets.push_back(entry.path().string());
  const auto all = stage({{"sets", sets}});
  const std::string file = read_file(benchmarks / "gsm8k.jsonl");
  const Json row = parse_json(std::string_view(file).substr(0, file.find('\n')), "gsm8k");
  Document document = document_of("A page: " + row["question"].get<std::string>() + " And so on.");
  EXPECT_TRUE(all->apply(document));
  document = document_of(
      "This sentence stands in no benchmark at all, whatever anyone may say about it afterwards.");
  EXPECT_FALSE(all->apply(document));
}

}  // namespace
}  // namespace tigerbot::data
