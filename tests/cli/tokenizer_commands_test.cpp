#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "cli/program.h"

namespace tigerbot {
namespace {

using nlohmann::json;

const std::string kText = TIGERBOT_SOURCE_DIR "/tests/golden/bpe_trainer/text.txt";
const std::string kGolden = TIGERBOT_SOURCE_DIR "/tests/golden/extended_tokenizer/tokenizer.json";

json run_json(const std::vector<std::string>& arguments) {
  const ProgramResult result = run_tigerbot(arguments);
  EXPECT_EQ(result.status, 0) << result.err;
  return json::parse(result.out);
}

/// A user's mistake: status 2, the last line on stderr says this, no folder is left.
void expect_mistake(const std::vector<std::string>& arguments, const std::string& part,
                    const std::string& output) {
  const ProgramResult result = run_tigerbot(arguments);
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_NE(result.err.rfind("tigerbot: "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(part, result.err.rfind("tigerbot: ")), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(output));
}

TEST(TokenizerTrain, WritesWhatEncodeReads) {
  const TemporaryFolder folder;
  write_file(folder / "template.jinja", "{{ messages[0].content }}");
  const json report =
      run_json({"tokenizer", "train", kText, "--output", folder / "new", "--vocab-size", "600",
                "--bos-token", "<s>", "--eos-token", "</s>", "--add-bos", "--chat-template",
                folder / "template.jinja", "--json"});
  EXPECT_EQ(report["pieces"], 600);
  const ProgramResult encoded = run_tigerbot({"tokenizer", "encode", folder / "new"}, "free 自由");
  EXPECT_EQ(encoded.status, 0) << encoded.err;
  EXPECT_EQ(json::parse(encoded.out)[0], 0);
  const json config = json::parse(read_file(folder / "new/tokenizer_config.json"));
  EXPECT_EQ(config["eos_token"], "</s>");
  EXPECT_EQ(config["chat_template"], "{{ messages[0].content }}");
}

TEST(TokenizerTrain, SentencePieceModelsComeWithTokenizerJson) {
  const TemporaryFolder folder;
  for (const char* type : {"sentencepiece-bpe", "sentencepiece-unigram"}) {
    const std::string output = folder / type;
    run_json({"tokenizer", "train", kText, "--output", output, "--vocab-size", "600", "--type",
              type, "--json"});
    const std::string text = "All human beings  人人生而自由 동등하다 \xF0\x9F\x91\xBE 12";
    const ProgramResult json_ids = run_tigerbot(
        {"tokenizer", "encode", output + "/tokenizer.json", "--no-special-tokens"}, text);
    const ProgramResult model_ids = run_tigerbot(
        {"tokenizer", "encode", output + "/tokenizer.model", "--no-special-tokens"}, text);
    EXPECT_EQ(json_ids.status, 0) << json_ids.err;
    EXPECT_EQ(json_ids.out, model_ids.out) << type;
  }
}

TEST(TokenizerExtend, KeepsTheBaseAndSaysSo) {
  const TemporaryFolder folder;
  const json report = run_json({"tokenizer", "extend", kGolden, "--corpus", kText, "--max-pieces",
                                "950", "--output", folder / "more", "--json"});
  EXPECT_EQ(report["base_pieces"], 900);
  EXPECT_EQ(report["pieces"], 950);
  EXPECT_GT(report["base_text"]["lines"], 100);
  EXPECT_EQ(report["base_text"]["changed_lines"], 0);
  const json with = run_json({"tokenizer", "extend", kGolden, "--with", folder / "more", "--output",
                              folder / "with", "--json"});
  EXPECT_EQ(with["pieces"], 950);
}

TEST(TokenizerExtend, MistakesLeaveNothingBehind) {
  const TemporaryFolder folder;
  const std::string output = folder / "out";
  const auto extend = [&](const std::string& base, std::vector<std::string> more) {
    std::vector<std::string> arguments{"tokenizer", "extend", base, "--output", output};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  expect_mistake(extend(kGolden, {}), "--with TOKENIZER or --corpus FILES", output);
  expect_mistake(extend(kGolden, {"--corpus", kText, "--max-pieces", "900"}),
                 "has 900 pieces already and --max-pieces is 900", output);
  expect_mistake(
      extend(kGolden, {"--corpus", "zh=" + kText, "--sample-bytes", "4K", "--shares", "zh=1,ja=1"}),
      "--shares asks for \"ja\"", output);
  expect_mistake(extend(kGolden, {"--corpus", folder / "nothing"}), "nothing", output);
  expect_mistake(extend(kGolden, {"--corpus", kText, "--base-scripts", "Klingon"}), "Klingon",
                 output);
  json broken = json::parse(read_file(kGolden));
  broken["model"]["vocab"]["hole"] = 1000;
  write_file(folder / "hole.json", broken.dump());
  expect_mistake(extend(folder / "hole.json", {"--corpus", kText}), "no piece has the id 900",
                 output);
  broken["model"]["vocab"]["hole"] = 300;
  write_file(folder / "twice.json", broken.dump());
  expect_mistake(extend(folder / "twice.json", {"--corpus", kText}), "same id 300", output);
  broken = json::parse(read_file(kGolden));
  broken["added_tokens"][1]["id"] = 9;
  write_file(folder / "conflict.json", broken.dump());
  expect_mistake(extend(folder / "conflict.json", {"--corpus", kText}), "contradicts itself",
                 output);
  expect_mistake({"tokenizer", "train", kText, "--output", output, "--special-token", "<s>",
                  "--special-token", "<s>"},
                 "\"<s>\" is given twice", output);
  expect_mistake({"tokenizer", "train", kText, "--output", output, "--type", "sentencepiece-bpe",
                  "--vocab-size", "60000"},
                 "SentencePiece refuses", output);
}

TEST(TokenizerReport, GivesTheFiguresAndAPage) {
  const TemporaryFolder folder;
  write_file(folder / "ko.txt", "모든 인간은 태어날 때부터\n");
  const json report =
      run_json({"tokenizer", "report", kGolden, "--text", "ko=" + (folder / "ko.txt"), "--sentence",
                "자유 <b>", "--html", folder / "page.html", "--json"});
  const json& figures = report["tokenizers"][0]["languages"]["ko"];
  EXPECT_EQ(figures["characters"], 14);
  EXPECT_EQ(figures["bytes"], 36);
  EXPECT_EQ(figures["words"], 4);
  const double tokens = figures["tokens"];
  EXPECT_DOUBLE_EQ(figures["characters_per_token"], 14 / tokens);
  EXPECT_DOUBLE_EQ(figures["fertility"], tokens / 4);
  const std::string page = read_file(folder / "page.html");
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_EQ(page.find("<b>자유"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);  // nothing is fetched
}

}  // namespace
}  // namespace tigerbot
