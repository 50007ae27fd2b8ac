#include "eval/benchmark_rows.h"

#include <gtest/gtest.h>

#include <map>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/scratch_folder.h"
#include "base/text.h"

namespace tigerbot {
namespace {

using testing::error_of;
using testing::ScratchFolder;

BenchmarkRow only_row(const std::string& name, const std::string& text) {
  const ScratchFolder folder;
  write_file(folder / name, text);
  const auto rows = read_benchmark(folder / name);
  EXPECT_EQ(rows.size(), 1U);
  return rows.front();
}

TEST(BenchmarkRows, ArcAndCommonsense) {
  const std::string arc =
      R"({"question":{"stem":"Why?","choices":[{"text":"no","label":"A"},{"text":"so","label":"B"}]},"answerKey":"B"})";
  BenchmarkRow row = only_row("arc.jsonl", arc + "\n");
  EXPECT_EQ(row.prompt, "Question: Why?\nAnswer:");
  EXPECT_EQ(row.answer, " so");
  EXPECT_EQ(row.source, "arc");
  EXPECT_EQ(row.language, "en");
  row = only_row(
      "csqa.jsonl",
      R"({"question":"Where?","choices":{"label":["A","B"],"text":["bank","mall"]},"answerKey":"A"})");
  EXPECT_EQ(row.answer, " bank");
}

TEST(BenchmarkRows, QuestionsOnPassages) {
  const ScratchFolder folder;
  write_file(folder / "squad.json",
             R"({"data":[{"paragraphs":[{"context":"It is red.","qas":[
                {"question":"What colour?","answers":[{"text":"red"}],"is_impossible":false},
                {"question":"What size?","answers":[],"is_impossible":true}]}]}]})");
  const auto rows = read_benchmark(folder / "squad.json");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].prompt, "It is red.\nQuestion: What colour?\nAnswer:");
  EXPECT_EQ(rows[0].answer, " red");
  EXPECT_EQ(rows[1].answer, " unanswerable");
  EXPECT_EQ(only_row("boolq.jsonl", R"({"passage":"P","question":"is it","label":true})").answer,
            " yes");
}

TEST(BenchmarkRows, ChineseQuestionsAreAskedInChinese) {
  const BenchmarkRow row =
      only_row("c3.json",
               R"([[["甲","乙"],[{"question":"谈什么?","choice":["工作"],"answer":"工作"}],"1"]])");
  EXPECT_EQ(row.prompt, "甲\n乙\n问题：谈什么?\n答案：");
  EXPECT_EQ(row.answer, "工作");
  EXPECT_EQ(row.language, "zh");
}

TEST(BenchmarkRows, GapsEndingsAndLabelsBeside) {
  BenchmarkRow row = only_row(
      "wino.jsonl",
      R"({"sentence":"Ann beat Bea so _ won.","option1":"Ann","option2":"Bea","answer":"1"})");
  EXPECT_EQ(row.prompt, "Ann beat Bea so");
  EXPECT_EQ(row.answer, " Ann won.");
  row = only_row("hella.jsonl", R"({"ctx":"He runs","endings":["up","off"],"label":1})");
  EXPECT_EQ(row.answer, " off");
  const ScratchFolder folder;
  write_file(folder / "piqa.jsonl", R"({"goal":"Open","sol1":"pull","sol2":"push"})");
  write_file(folder / "piqa-labels.lst", "1\n");
  EXPECT_EQ(read_benchmark(folder / "piqa.jsonl").front().answer, "\npush");
}

TEST(BenchmarkRows, UnknownRowsAreRefusedWithTheirPlace) {
  const ScratchFolder folder;
  write_file(folder / "x.jsonl", "{\"a\": 1}\n");
  EXPECT_NE(error_of([&] { read_benchmark(folder / "x.jsonl"); }).find("x.jsonl:1: no benchmark"),
            std::string::npos);
}

TEST(BenchmarkRows, RealFilesConvert) {
  const std::filesystem::path folder =
      std::filesystem::path(TIGERBOT_SOURCE_DIR) / "../shared/benchmarks";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no benchmark files beside the checkout";
  std::vector<std::filesystem::path> files;
  for (const char* name :
       {"arc_easy.jsonl", "arc_challenge.jsonl", "commonsenseqa.jsonl", "squad2_dev.json",
        "webquestions.jsonl", "triviaqa.jsonl", "hellaswag.jsonl", "winogrande.jsonl",
        "boolq.jsonl", "gsm8k.jsonl", "ocnli.jsonl", "piqa.jsonl", "siqa.jsonl", "c3-d-dev.json",
        "cmrc2018_dev.squad-style.json", "triviaqa_sample.json"}) {
    files.push_back(folder / name);
  }
  const ScratchFolder out;
  const std::int64_t rows = convert_benchmarks(files, out / "rows.jsonl");
  EXPECT_GT(rows, 1500);
  std::map<std::string, int> sources;
  const std::string text = read_file(out / "rows.jsonl");
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const Json row = parse_json(line, "rows");
    EXPECT_FALSE(row.at("answer").get<std::string>().empty());
    ++sources[row.at("source")];
  }
  EXPECT_EQ(sources.size(), files.size());
}

}  // namespace
}  // namespace tigerbot
