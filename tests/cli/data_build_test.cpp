#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/program.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

std::string recipe_of(const std::string& output) {
  return "[run]\noutput = \"" + output +
         "\"\nseed = 1\nthreads = 1\nunit_bytes = \"4 KiB\"\n[[source]]\nname = \"s\"\n"
         "files = \"s.jsonl\"\n[[stage]]\nkind = \"normalize\"\n[[stage]]\n"
         "kind = \"exact_duplicates\"\n[[stage]]\nkind = \"near_duplicates\"\n"
         "[output]\nshard_bytes = \"8 KiB\"\nvalidation = 0.1\n";
}

std::string rows() {
  std::string text;
  for (int k = 0; k < 120; ++k) {
    std::string words;
    for (int w = 0; w < 40; ++w)
      words += "w" + std::to_string((k / 2 * 37 + w * w * 11) % 997) + " ";
    text += nlohmann::json{{"text", words + (k % 4 == 3 ? "x" : "")}}.dump() + "\n";
  }
  return text;
}

std::map<std::string, std::string> files_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && !name.starts_with("report."))
      files[name] = read_all(entry.path().string());
  }
  return files;
}

/// Runs `tigerbot data build` on so many ranks; the exit status.
int build_on_ranks(int ranks, const std::string& recipe, const std::string& log) {
  const std::string command =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n " +
      std::to_string(ranks) + " " TIGERBOT_PROGRAM " data build " + recipe + " >" + log + " 2>&1";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool has_mpirun() { return std::system("command -v mpirun >/dev/null 2>&1") == 0; }

TEST(DataBuild, RanksGiveTheSameBytes) {
  if (!has_mpirun()) GTEST_SKIP() << "no mpirun here";
  const TemporaryFolder folder;
  write_all(folder / "s.jsonl", rows());
  write_all(folder / "1.toml", recipe_of("out1"));
  const ProgramResult alone = run_tigerbot({"data", "build", folder / "1.toml", "--json"});
  ASSERT_EQ(alone.status, 0) << alone.err;
  EXPECT_FALSE(nlohmann::json::parse(alone.out).at("up_to_date").get<bool>());
  const auto expected = files_of(folder / "out1");
  EXPECT_GT(expected.size(), 3u);
  for (const int ranks : {2, 4}) {
    // The manifest holds the recipe's name: the same for all.
    const std::string name = std::to_string(ranks);
    write_all(folder / "1.toml", recipe_of("out" + name));
    ASSERT_EQ(build_on_ranks(ranks, folder / "1.toml", folder / "log"), 0)
        << read_all(folder / "log");
    EXPECT_EQ(files_of(folder / ("out" + name)), expected) << ranks;
  }
}

TEST(DataBuild, AnErrorOfRanksIsOneLine) {
  if (!has_mpirun()) GTEST_SKIP() << "no mpirun here";
  const TemporaryFolder folder;
  write_all(folder / "s.jsonl", "nonsense\n" + rows() + "nonsense\n");
  std::string recipe = recipe_of("out");
  recipe.insert(recipe.find("seed"), "bad_row_limit = 0\n");
  write_all(folder / "r.toml", recipe);
  EXPECT_EQ(build_on_ranks(2, folder / "r.toml", folder / "log"), 2);
  const std::string log = read_all(folder / "log");
  std::size_t lines = 0;
  for (std::size_t at = log.find("tigerbot: "); at != std::string::npos;
       at = log.find("tigerbot: ", at + 1))
    ++lines;
  EXPECT_EQ(lines, 1u) << log;
  EXPECT_NE(log.find("bad_row_limit"), std::string::npos) << log;
}

TEST(DataBuild, ItsFolderIsWhatATokenizerIsTrainedOn) {
  const TemporaryFolder folder;
  write_all(folder / "s.jsonl", rows());
  write_all(folder / "r.toml", recipe_of("out"));
  const ProgramResult build = run_tigerbot({"data", "build", folder / "r.toml", "--json"});
  ASSERT_EQ(build.status, 0) << build.err;
  const ProgramResult train = run_tigerbot({"tokenizer", "train", folder / "out", "--vocab-size",
                                            "400", "--output", folder / "tokenizer", "--json"});
  ASSERT_EQ(train.status, 0) << train.err;
  const auto report = nlohmann::json::parse(train.out);
  EXPECT_EQ(report["pieces"], 400);
  EXPECT_EQ(report["sample"]["bad_rows"], 0);
  // Its text to train on alone: nothing held out, nothing of the work and the reports beside it.
  const auto manifest = nlohmann::json::parse(read_all(folder / "out/manifest.json"));
  const auto documents = manifest["train"]["documents"].get<std::size_t>();
  EXPECT_GT(documents, 10u);
  EXPECT_EQ(report["sample"]["languages"]["unknown"]["texts"], documents);
  const ProgramResult tokenize =
      run_tigerbot({"data", "tokenize", folder / "out", "--tokenizer", folder / "tokenizer",
                    "--output", folder / "shards/t", "--json"});
  ASSERT_EQ(tokenize.status, 0) << tokenize.err;
  EXPECT_EQ(nlohmann::json::parse(tokenize.out)["documents"], documents);
}

TEST(DataBuild, ShowAndReportSpeakOfTheRun) {
  const TemporaryFolder folder;
  write_all(folder / "s.jsonl", rows());
  write_all(folder / "r.toml", recipe_of("out"));
  const ProgramResult build = run_tigerbot({"data", "build", folder / "r.toml"});
  ASSERT_EQ(build.status, 0) << build.err;
  EXPECT_NE(build.out.find("exact_duplicates"), std::string::npos) << build.out;
  const ProgramResult again = run_tigerbot({"data", "build", folder / "r.toml"});
  EXPECT_NE(again.out.find("nothing to do"), std::string::npos) << again.out;
  const ProgramResult report = run_tigerbot({"data", "report", folder / "out", "--json"});
  ASSERT_EQ(report.status, 0) << report.err;
  EXPECT_EQ(nlohmann::json::parse(report.out).at("name"), "r");
  const ProgramResult show =
      run_tigerbot({"data", "show", folder / "out", "--reason", "exact", "--limit", "2", "--json"});
  ASSERT_EQ(show.status, 0) << show.err;
  EXPECT_EQ(std::count(show.out.begin(), show.out.end(), '\n'), 2);
  EXPECT_NE(show.out.find("duplicate_of"), std::string::npos) << show.out;
  EXPECT_EQ(run_tigerbot({"data", "show", folder / "nothing"}).status, 2);
  EXPECT_EQ(run_tigerbot({"data", "report", folder / "nothing"}).status, 2);
}

}  // namespace
}  // namespace tigerbot
