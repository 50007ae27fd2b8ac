// `tigerbot data tokenize` over ranks.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "cli/program.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;

bool has_mpirun() { return std::system("command -v mpirun >/dev/null 2>&1") == 0; }

/// A byte-level tokenizer of the letters and digits that rows() uses, each a piece.
std::string tokenizer_json() {
  std::string pieces;
  int id = 0;
  for (const char c : std::string("abcdefghijklmnopqrstuvwxyz0123456789"))
    pieces += std::string("\"") + c + "\": " + std::to_string(id++) + ", ";
  pieces += "\"\xC4\xA0\": " + std::to_string(id);  // a space
  return R"({"version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {)" +
         pieces + R"(}, "merges": []}})";
}

void write_rows(const std::string& folder, int files, int rows_each) {
  fs::create_directories(folder);
  for (int file = 0; file < files; ++file) {
    std::string text;
    for (int row = 0; row < rows_each; ++row) {
      text += R"({"text": "row )" + std::to_string(row) + " of " + std::to_string(file);
      for (int word = 0; word < row % 60; ++word) text += " w" + std::to_string(word * row % 991);
      text += "\"}\n";
    }
    write_all(folder + "/" + std::to_string(file) + ".jsonl", text);
  }
}

std::string command_line(int ranks, const TemporaryFolder& folder, const std::string& output) {
  return "exec env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun "
         "--oversubscribe "
         "-n " +
         std::to_string(ranks) + " " TIGERBOT_PROGRAM " data tokenize " + folder / "in" +
         " --tokenizer " + folder / "tokenizer.json" + " --threads 1 --output " + folder / output +
         "/t > " + folder / "log" + " 2>&1";
}

std::map<std::string, std::string> files_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder))
    files[entry.path().filename().string()] =
        entry.is_directory() ? "a folder" : read_all(entry.path().string());
  return files;
}

class TokenizeOnRanks : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_mpirun()) GTEST_SKIP() << "no mpirun here";
    write_all(folder_ / "tokenizer.json", tokenizer_json());
  }
  std::map<std::string, std::string> alone() {
    const ProgramResult result =
        run_tigerbot({"data", "tokenize", folder_ / "in", "--tokenizer", folder_ / "tokenizer.json",
                      "--threads", "1", "--output", folder_ / "alone/t"});
    EXPECT_EQ(result.status, 0) << result.err;
    const auto files = files_of(folder_ / "alone");
    EXPECT_EQ(files.size(), 3u);
    return files;
  }

  TemporaryFolder folder_;
};

TEST_F(TokenizeOnRanks, GivesTheSameBytes) {
  write_rows(folder_ / "in", 5, 400);
  const auto expected = alone();
  for (const int ranks : {2, 4}) {
    const std::string output = "of" + std::to_string(ranks);
    ASSERT_EQ(std::system(command_line(ranks, folder_, output).c_str()), 0)
        << read_all(folder_ / "log");
    EXPECT_EQ(files_of(folder_ / output), expected) << ranks;
  }
}

}  // namespace
}  // namespace tigerbot
