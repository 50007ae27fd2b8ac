#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/program.h"
#include "cli/tiny_model_folder.h"

namespace tigerbot {
namespace {

using Json = nlohmann::json;

constexpr const char* kModel = "smollm2-135m-instruct";

std::vector<Json> read_rows(const std::string& path) {
  std::istringstream file(read_all(path));
  std::vector<Json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(Json::parse(line));
  return rows;
}

TEST(Generate, TheDefaultModelAnswers) {
  const ProgramResult result =
      run_tigerbot({"generate", kModel, "--prompt", "What is the capital of France?",
                    "--temperature", "0", "--max-new-tokens", "32"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("Paris"), std::string::npos) << result.out;
  EXPECT_EQ(result.err, "");
}

TEST(Generate, RawGoesOnFromTheText) {
  const ProgramResult result =
      run_tigerbot({"generate", kModel, "--prompt", "1, 2, 3, 4, 5,", "--raw", "--temperature", "0",
                    "--max-new-tokens", "12", "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const Json answer = Json::parse(result.out);
  EXPECT_EQ(answer["text"].get<std::string>().find(" 6, 7"), 0U) << result.out;
  EXPECT_EQ(answer["new_tokens"], 12);
  EXPECT_EQ(answer["finish_reason"], "length");
}

TEST(Generate, TheSeedDecidesASampledAnswer) {
  const auto answer = [](const char* seed) {
    return run_tigerbot({"generate", kModel, "--prompt", "Tell me a story.", "--temperature", "1",
                         "--top-p", "0.95", "--max-new-tokens", "24", "--seed", seed})
        .out;
  };
  EXPECT_EQ(answer("1"), answer("1"));
  EXPECT_NE(answer("1"), answer("2"));
}

TEST(Generate, AFileOfPromptsIsAnsweredInOrder) {
  const TemporaryFolder folder;
  write_all(folder / "in.jsonl",
            "{\"id\": 7, \"prompt\": \"What is 2+2?\"}\n\n"
            "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, "
            "{\"role\": \"user\", \"content\": \"Name a color.\"}]}\n");
  const ProgramResult result =
      run_tigerbot({"generate", kModel, "--input", folder / "in.jsonl", "--output",
                    folder / "out.jsonl", "--max-new-tokens", "16", "--temperature", "0"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<Json> rows = read_rows(folder / "out.jsonl");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["id"], 7);
  for (const Json& row : rows) EXPECT_FALSE(row["text"].get<std::string>().empty());
  const ProgramResult alone = run_tigerbot({"generate", kModel, "--prompt", "What is 2+2?",
                                            "--max-new-tokens", "16", "--temperature", "0"});
  EXPECT_EQ(alone.out, rows[0]["text"].get<std::string>() + "\n");
}

TEST(Generate, RowsOfAFileDrawApartAndTheFirstAsOneAlone) {
  const TemporaryFolder folder;
  const std::string row = "{\"prompt\": \"Tell me a story.\"}\n";
  write_all(folder / "in.jsonl", row + row);
  const std::vector<std::string> drawn = {
      "--temperature",    "1",  "--seed",   "3",
      "--max-new-tokens", "24", "--system", "You tell stories."};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), drawn.begin(), drawn.end());
    return run_tigerbot(arguments);
  };
  const ProgramResult result =
      with({"generate", kModel, "--input", folder / "in.jsonl", "--output", folder / "out.jsonl"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<Json> rows = read_rows(folder / "out.jsonl");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_NE(rows[0]["text"], rows[1]["text"]);
  const ProgramResult alone = with({"generate", kModel, "--prompt", "Tell me a story."});
  EXPECT_EQ(alone.out, rows[0]["text"].get<std::string>() + "\n");
}

TEST(Generate, AMalformedRowIsNamedAndNothingIsWritten) {
  const TemporaryFolder folder;
  write_all(folder / "in.jsonl", "{\"prompt\": \"a\"}\n{\"promt\": \"b\"}\n");
  const ProgramResult result = run_tigerbot(
      {"generate", kModel, "--input", folder / "in.jsonl", "--output", folder / "out.jsonl"});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.err,
            "tigerbot: " + folder / "in.jsonl" + ":2: a row needs \"prompt\" or \"messages\"\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "out.jsonl"));
}

TEST(Chat, WithoutATerminalItReadsQuestionsAndCommands) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_tigerbot({"chat", kModel, "--temperature", "0", "--max-new-tokens", "24"},
                   "What is the capital of France?\n/save " + folder / "talk.json" +
                       "\n/reset\n/nosuch\n/exit\n");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("Paris"), std::string::npos) << result.out;
  EXPECT_NE(result.err.find("\"/nosuch\" is not a command"), std::string::npos) << result.err;
  const Json saved = Json::parse(read_all(folder / "talk.json"));
  ASSERT_EQ(saved["messages"].size(), 2U);
  EXPECT_EQ(saved["messages"][0]["content"], "What is the capital of France?");
  EXPECT_EQ(saved["messages"][1]["role"], "assistant");
}

TEST(Generate, AQuantizedCacheGivesTheSameAnswerAloneAndAmongOthers) {
  const TemporaryFolder folder;
  write_all(folder / "in.jsonl", R"({"prompt": "Count: one, two,"}
{"prompt": "How do I list files in Linux?"}
)");
  const std::vector<std::string> flags = {"--kv-cache-dtype", "int8", "--temperature", "0",
                                          "--max-new-tokens", "8",    "--json"};
  const auto with_flags = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return run_tigerbot(arguments);
  };
  const ProgramResult alone =
      with_flags({"generate", kModel, "--prompt", "How do I list files in Linux?"});
  ASSERT_EQ(alone.status, 0) << alone.err;
  const ProgramResult both = with_flags(
      {"generate", kModel, "--input", folder / "in.jsonl", "--output", folder / "out.jsonl"});
  ASSERT_EQ(both.status, 0) << both.err;
  EXPECT_EQ(read_rows(folder / "out.jsonl")[1]["text"], Json::parse(alone.out)["text"]);
}

TEST(Generate, RopeScalingTakesPromptsPastTheTrainedLength) {
  const TemporaryFolder folder;
  write_tiny_model(folder / "tiny", "{{ messages[-1]['content'] }}");  // trained on 64 tokens
  const std::string prompt(100, 'a');
  write_all(folder / "in.jsonl", Json{{"prompt", prompt}}.dump() + "\n");
  const std::vector<std::string> one = {
      "generate", folder / "tiny", "--prompt", prompt, "--max-new-tokens", "8", "--json"};
  const std::vector<std::string> file = {
      "generate", folder / "tiny",      "--input",          folder / "in.jsonl",
      "--output", folder / "out.jsonl", "--max-new-tokens", "8"};
  const std::vector<std::string> chat = {"chat", folder / "tiny", "--max-new-tokens", "8"};
  const auto with = [](std::vector<std::string> arguments, const std::string& factor) {
    arguments.insert(arguments.end(), {"--rope-scaling", "dynamic", "--rope-factor", factor});
    return arguments;
  };
  for (const auto& arguments : {one, file, chat}) {
    const std::string context = "the prompt has 100 tokens and the model's context is ";
    EXPECT_NE(run_tigerbot(arguments, prompt + "\n").err.find(context + "64"), std::string::npos);
    EXPECT_NE(run_tigerbot(with(arguments, "1.5"), prompt + "\n").err.find(context + "96"),
              std::string::npos);
    const ProgramResult scaled = run_tigerbot(with(arguments, "4"), prompt + "\n");
    EXPECT_EQ(scaled.status, 0) << scaled.err;
    EXPECT_EQ(scaled.err.find("tigerbot:"), std::string::npos) << scaled.err;
    EXPECT_EQ(run_tigerbot(with(arguments, "0.5"), prompt + "\n").err,
              "tigerbot: --rope-factor must be from 1 to 1024\n");
  }
  EXPECT_EQ(Json::parse(run_tigerbot(with(one, "4")).out)["new_tokens"], 8);
  EXPECT_EQ(read_rows(folder / "out.jsonl")[0]["new_tokens"], 8);
}

TEST(Tokenizer, EncodeAndDecodeAreInverse) {
  const std::string text = "Hello, 世界!\n\tfunc(x) { return 1234; } \xF0\x9F\x90\xAF";
  const ProgramResult encoded = run_tigerbot({"tokenizer", "encode", kModel}, text);
  ASSERT_EQ(encoded.status, 0) << encoded.err;
  EXPECT_GT(Json::parse(encoded.out).size(), 10U);
  const ProgramResult decoded = run_tigerbot({"tokenizer", "decode", kModel}, encoded.out);
  EXPECT_EQ(decoded.out, text);
  const ProgramResult lines = run_tigerbot({"tokenizer", "encode", kModel, "--lines"}, "a\nb c\n");
  EXPECT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 2);
  const ProgramResult bad = run_tigerbot({"tokenizer", "decode", kModel}, "[1, 99999999]");
  EXPECT_EQ(bad.status, 2);
  EXPECT_NE(bad.err.find("99999999 is not a token id"), std::string::npos) << bad.err;
}

TEST(Embed, GivesUnitVectorsThatKnowMeaning) {
  const auto embed = [](const std::string& text) {
    const ProgramResult result = run_tigerbot({"embed", "all-minilm-l6-v2", "--text", text});
    EXPECT_EQ(result.status, 0) << result.err;
    return Json::parse(result.out).get<std::vector<double>>();
  };
  const auto cosine = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  const auto cat = embed("A cat sits on the mat.");
  const auto kitten = embed("The kitten is sitting on a rug.");
  const auto tax = embed("Income tax is due in April.");
  ASSERT_EQ(cat.size(), 384U);
  EXPECT_NEAR(cosine(cat, cat), 1.0, 1e-4);
  EXPECT_GT(cosine(cat, kitten), cosine(cat, tax) + 0.3);
}

TEST(Embed, AFileKeepsItsFields) {
  const TemporaryFolder folder;
  write_all(folder / "in.jsonl", "{\"id\": \"x\", \"text\": \"one\"}\n{\"text\": \"two\"}\n");
  const ProgramResult result =
      run_tigerbot({"embed", "all-minilm-l6-v2", "--input", folder / "in.jsonl", "--output",
                    folder / "out.jsonl", "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(Json::parse(result.out)["texts"], 2);
  const std::vector<Json> rows = read_rows(folder / "out.jsonl");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["id"], "x");
  EXPECT_EQ(rows[1]["embedding"].size(), 384U);
}

TEST(Generate, TheAnswerKeepsToASchema) {
  const TemporaryFolder folder;
  write_all(folder / "city.json", R"({"type": "object", "properties": {
      "city": {"type": "string", "maxLength": 30},
      "continent": {"enum": ["Africa", "Asia", "Europe", "Oceania", "North America",
                             "South America"]},
      "population": {"type": "integer", "minimum": 1000, "maximum": 40000000}},
      "required": ["city", "continent", "population"], "additionalProperties": false})");
  for (const char* seed : {"1", "2", "3"}) {
    const ProgramResult result = run_tigerbot(
        {"generate", kModel, "--prompt", "Describe Paris as JSON.", "--temperature", "1", "--seed",
         seed, "--max-new-tokens", "200", "--json", "--json-schema", folder / "city.json"});
    ASSERT_EQ(result.status, 0) << result.err;
    const Json answer = Json::parse(result.out);
    EXPECT_EQ(answer["finish_reason"], "stop");
    const Json city = Json::parse(answer["text"].get<std::string>());
    EXPECT_EQ(city.size(), 3U);
    EXPECT_GE(city["population"], 1000);
  }
}

TEST(Generate, TheAnswerKeepsToAPatternOrChoiceOrIsCut) {
  const auto answer = [](std::vector<std::string> format, const char* tokens) {
    std::vector<std::string> arguments{"generate", kModel,          "--prompt", "Is water wet?",
                                       "--json",   "--temperature", "0",        "--max-new-tokens",
                                       tokens};
    arguments.insert(arguments.end(), format.begin(), format.end());
    const ProgramResult result = run_tigerbot(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return Json::parse(result.out);
  };
  const auto choice = answer({"--choice", "perhaps", "--choice", "certainly not"}, "20")["text"];
  EXPECT_TRUE(choice == "perhaps" || choice == "certainly not") << choice;
  EXPECT_EQ(answer({"--regex", "(ab){3}"}, "20")["text"], "ababab");
  const Json cut = answer({"--regex", "(ab){300}"}, "3");
  EXPECT_EQ(cut["finish_reason"], "length");
  EXPECT_EQ(Json::parse(answer({"--json-object"}, "300")["text"].get<std::string>()).is_object(),
            true);
}

TEST(Generate, AFormatThatCannotBeKeptIsRefusedBeforeTheModelIsRead) {
  const TemporaryFolder folder;
  write_all(folder / "bad.json", R"({"properties": {"a": {"contains": {}}}})");
  const auto error = [](std::vector<std::string> format) {
    std::vector<std::string> arguments{"generate", "no/such/model", "--prompt", "x"};
    arguments.insert(arguments.end(), format.begin(), format.end());
    const ProgramResult result = run_tigerbot(arguments);
    EXPECT_EQ(result.status, 2);
    return result.err;
  };
  const std::string schema = error({"--json-schema", folder / "bad.json"});
  EXPECT_NE(schema.find("bad.json"), std::string::npos) << schema;
  EXPECT_NE(schema.find("\"contains\" is not supported"), std::string::npos) << schema;
  EXPECT_NE(error({"--regex", "a\\b"}).find("\\b"), std::string::npos);
  EXPECT_NE(error({"--regex", "a", "--json-object"}).find("give one of"), std::string::npos);
  EXPECT_NE(error({"--json-schema", "none.json"}).find("none.json"), std::string::npos);
}

}  // namespace
}  // namespace tigerbot
