#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "cli/tiny_model_folder.h"

namespace tigerbot {
namespace {

constexpr const char* kModel = "smollm2-135m-instruct";

/// A user's mistake: status 2, one line on stderr that says this, nothing on stdout.
void expect_mistake(const std::vector<std::string>& arguments, const std::string& part) {
  const ProgramResult result = run_tigerbot(arguments);
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err.find("tigerbot: "), 0U) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
}

TEST(CommandLine, MistakesAreOneLineWithTheNearestWord) {
  expect_mistake({"generate", kModel, "--promt", "x"},
                 "generate: unknown option \"--promt\"; did you mean \"--prompt\"?");
  expect_mistake({"generat", kModel}, "unknown command \"generat\"; did you mean \"generate\"?");
  expect_mistake({"generate", kModel}, "generate needs one of --prompt TEXT and --input FILE");
  expect_mistake({"generate", kModel, "--prompt", "x", "--max-new-tokens", "many"},
                 "max-new-tokens");
  expect_mistake({"generate", kModel, "--prompt", "x", "--temperature", "-1"},
                 "--temperature must be 0 or more");
  expect_mistake({"generate", kModel, "--prompt", "x", "--top-p", "1.5"}, "--top-p must be");
  expect_mistake({"generate", kModel, "--prompt", "x", "--dtype", "int3"}, "int3");
  expect_mistake({"generate", kModel, "--prompt", "x", "--device", "tpu"}, "tpu");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"generate", kModel, "--prompt", "x"},
        {"chat", kModel},
        {"bench", kModel},
        {"serve", kModel},
        {"eval", kModel, "--perplexity", "x"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--kv-cache-dtype", "fp8"});
    expect_mistake(arguments, "--kv-cache-dtype: \"fp8\" is not one of auto");
  }
  expect_mistake({"generate", kModel, "--prompt", "x", "--threads", "-2"}, "--threads");
  expect_mistake({"generate", kModel, "--prompt", "x", "--output", "y"}, "--output goes with");
  expect_mistake({"generate", kModel, "--prompt", "x", "--system", "y", "--raw"}, "--raw");
  expect_mistake({"embed", "all-minilm-l6-v2", "--text", "x", "--output", "y"},
                 "--output goes with");
  expect_mistake({}, "--help");
}

TEST(CommandLine, HelpAndVersion) {
  for (const char* command : {"generate", "chat", "embed", "eval", "bench", "inspect", "convert",
                              "pull", "models", "tokenizer"}) {
    const ProgramResult help = run_tigerbot({command, "--help"});
    EXPECT_EQ(help.status, 0) << command;
    EXPECT_NE(help.out.find("Example:"), std::string::npos) << command << "\n" << help.out;
  }
  const ProgramResult version = run_tigerbot({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_NE(version.out.find("LibTorch 2."), std::string::npos) << version.out;
  EXPECT_NE(version.out.find("processor: "), std::string::npos) << version.out;
}

TEST(BadInput, ModelsThatCannotBeOpened) {
  const TemporaryFolder folder;
  expect_mistake({"generate", folder / "nothing", "--prompt", "x"}, "nothing");
  std::filesystem::create_directory(folder / "empty");
  expect_mistake({"generate", folder / "empty", "--prompt", "x"}, "empty");
  write_all(folder / "short.gguf",
            std::string("GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  expect_mistake({"generate", folder / "short.gguf", "--prompt", "x"}, "short.gguf");
  write_all(folder / "no.gguf", "this is no model");
  expect_mistake({"inspect", folder / "no.gguf"}, "no.gguf");
  expect_mistake({"generate", "all-minilm-l6-v2", "--prompt", "x"}, "use `tigerbot embed`");
  expect_mistake({"embed", kModel, "--text", "x"}, "need an encoder");
  expect_mistake({"pull", "no-such-model"}, "no-such-model");
  expect_mistake({"pull", "hf:../../etc"}, "hf:../../etc");
}

TEST(BadInput, APromptLongerThanTheContext) {
  const TemporaryFolder folder;
  std::string words;
  for (int i = 0; i < 20000; ++i) words += "word ";
  const ProgramResult result = run_tigerbot({"generate", kModel, "--prompt", "-", "--raw"}, words);
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("context is"), std::string::npos) << result.err;
}

TEST(BadInput, ATemplateThatIsWrongMattersToThoseWhoNeedIt) {
  const TemporaryFolder folder;
  const auto expect_refusal = [&](const std::string& chat_template, const std::string& part) {
    write_tiny_model(folder / "tiny", chat_template);
    const std::string where = folder / "tiny" + ": chat template: ";
    expect_mistake({"generate", folder / "tiny", "--prompt", "x"}, where + part);
    const ProgramResult raw = run_tigerbot(
        {"generate", folder / "tiny", "--prompt", "x", "--raw", "--max-new-tokens", "2"});
    EXPECT_EQ(raw.status, 0) << raw.err;
  };
  expect_refusal("{% if x %}", "line 1: a block is never closed");
  expect_refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "macros call each other");
  expect_refusal("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                 "it does too much work");
  write_tiny_model(folder / "tiny", "{% if x %}");
  expect_mistake({"chat", folder / "tiny"}, "a block is never closed");
  write_tiny_model(folder / "tiny", "");
  expect_mistake({"chat", folder / "tiny"}, "no chat template");
}

TEST(BadInput, AFileLargerThanAllowedLeavesNothing) {
  const TemporaryFolder folder;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{4 << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const ProgramResult file = run_tigerbot({"convert", kModel, folder / "large.gguf"});
  const ProgramResult directory = run_tigerbot({"convert", kModel, folder / "large"});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  for (const ProgramResult& result : {file, directory}) {
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_NE(result.err.find("cannot be written"), std::string::npos) << result.err;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
}

TEST(BadInput, ADiskThatIsFullAndAFolderThatIsClosed) {
  const ProgramResult full = run_tigerbot(
      {"generate", kModel, "--prompt", "Hi", "--temperature", "0", "--max-new-tokens", "4"}, "",
      "/dev/full");
  EXPECT_EQ(full.status, 2) << full.err;
  EXPECT_NE(full.err.find("stdout"), std::string::npos) << full.err;
  for (const std::vector<std::string>& report :
       {std::vector<std::string>{"models"}, {"inspect", kModel, "--json"}, {"--help"}}) {
    const ProgramResult cut = run_tigerbot(report, "", "/dev/full");
    EXPECT_EQ(cut.status, 2) << report[0];
    EXPECT_NE(cut.err.find("stdout"), std::string::npos) << report[0] << cut.err;
  }
  const TemporaryFolder folder;
  write_all(folder / "in.jsonl", "{\"text\": \"x\"}\n");
  expect_mistake({"embed", "all-minilm-l6-v2", "--input", folder / "in.jsonl", "--output",
                  folder / "missing/out.jsonl"},
                 "missing/out.jsonl");
  expect_mistake({"eval", kModel, "--perplexity", folder / "missing.txt"}, "missing.txt");
  expect_mistake({"eval", kModel, "--perplexity", folder / "in.jsonl", "--stride", "99999"},
                 "--stride");
  expect_mistake({"eval", kModel}, "give either --perplexity FILE or --next-token FILE");
  expect_mistake({"eval", kModel, "--next-token", folder / "missing.jsonl"}, "missing.jsonl");
  expect_mistake({"eval", kModel, "--next-token", folder / "in.jsonl"},
                 "in.jsonl:1: \"prompt\" is missing");
  expect_mistake({"eval", kModel, "--next-token", folder / "in.jsonl", "--stride", "8"},
                 "--stride");
  write_all(folder / "empty.txt", "");
  expect_mistake({"eval", kModel, "--perplexity", folder / "empty.txt"},
                 "empty.txt: 0 tokens; perplexity needs at least 2");
}

TEST(Models, ListsWhatIsThere) {
  const ProgramResult result = run_tigerbot({"models", "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  bool found = false;
  const auto report = nlohmann::json::parse(result.out);
  for (const auto& model : report["models"]) {
    found |= model["name"] == kModel && model["bytes"].get<std::int64_t>() > 50'000'000;
  }
  EXPECT_TRUE(found) << result.out;
  expect_mistake({"models", "--remove", "no-such-model"}, "no-such-model");
}

}  // namespace
}  // namespace tigerbot
