// `tigerbot data tokenize` over ranks.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

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

std::string command_line(int ranks, const TemporaryFolder& folder, const std::string& output,
                         const std::string& more = "") {
  return "exec env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun "
         "--oversubscribe "
         "-n " +
         std::to_string(ranks) + " " TIGERBOT_PROGRAM " data tokenize " + folder / "in" +
         " --tokenizer " + folder / "tokenizer.json" + " --threads 1 --output " + folder / output +
         "/t " + more + " > " + folder / "log" + " 2>&1";
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

/// Processes that a process has started, from any of its threads.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code gone;
  for (fs::directory_iterator task("/proc/" + std::to_string(parent) + "/task", gone), end;
       !gone && task != end; task.increment(gone)) {
    std::istringstream list(read_all(task->path().string() + "/children"));
    for (pid_t child = 0; list >> child;) children.push_back(child);
  }
  return children;
}

TEST_F(TokenizeOnRanks, AKilledRunGoesOnToTheSameBytes) {
  write_rows(folder_ / "in", 2, 20'000);
  const auto expected = alone();
  const auto parts_there = [&] {
    std::error_code gone;
    int parts = 0;
    for (fs::directory_iterator entry(folder_ / "killed/t.parts", gone), end; !gone && entry != end;
         entry.increment(gone))
      parts += entry->path().extension() == ".part";
    return parts;
  };
  // Nearly always the first run dies in the middle; one that is through before is no test.
  int killed = 0, parts = 0;
  for (int attempt = 0; attempt < 10 && killed == 0; ++attempt) {
    fs::remove_all(folder_ / "killed");
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const std::string command = command_line(2, folder_, "killed", "--part-bytes 64k");
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    int status = 0;
    bool ended = false;
    while (parts_there() < 2 && !ended) {
      ended = ::waitpid(child, &status, WNOHANG) != 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (ended) continue;
    // The ranks first, which mpirun would otherwise let clean up after themselves.
    for (const pid_t rank : children_of(child)) killed += ::kill(rank, SIGKILL) == 0;
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    parts = parts_there();
    if (fs::exists(folder_ / "killed/t.idx")) killed = 0;
  }
  EXPECT_EQ(killed, 2);
  EXPECT_GE(parts, 2);
  ASSERT_EQ(std::system(command_line(2, folder_, "killed", "--part-bytes 64k --json").c_str()), 0)
      << read_all(folder_ / "log");
  // It used what was there.
  EXPECT_EQ(read_all(folder_ / "log").find("\"parts_done_before\": 0"), std::string::npos)
      << read_all(folder_ / "log");
  EXPECT_EQ(files_of(folder_ / "killed"), expected);
}

}  // namespace
}  // namespace tigerbot
