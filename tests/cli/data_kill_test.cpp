#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "cli/program.h"

/// `tigerbot data build` on two ranks, killed at random moments.
namespace tigerbot {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string recipe_of(const std::string& output) {
  return "[run]\noutput = \"" + output +
         "\"\nseed = 1\nthreads = 2\nunit_bytes = \"16 KiB\"\n[[source]]\nname = \"s\"\n"
         "files = \"s.jsonl\"\n[[stage]]\nkind = \"normalize\"\n[[stage]]\n"
         "kind = \"exact_duplicates\"\n[[stage]]\nkind = \"near_duplicates\"\n"
         "[output]\nshard_bytes = \"64 KiB\"\nvalidation = 0.1\n";
}

std::string rows() {
  std::string text;
  for (int k = 0; k < 3000; ++k) {
    std::string words;
    for (int w = 0; w < 60; ++w)
      words += "w" + std::to_string((k / 2 * 379 + w * w * 11) % 9973) + " ";
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

bool has_mpirun() { return std::system("command -v mpirun >/dev/null 2>&1") == 0; }

/// mpirun with two ranks of `tigerbot data build`.
pid_t start(const std::string& recipe, const std::string& log) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  ::execlp("mpirun", "mpirun", "--oversubscribe", "-n", "2", TIGERBOT_PROGRAM, "data", "build",
           recipe.c_str(), static_cast<char*>(nullptr));
  ::_exit(127);
}

/// The processes that `process` started, and those that they started.
std::vector<pid_t> descendants(pid_t process) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat((std::istreambuf_iterator<char>(file)), {});
    const std::size_t end = stat.rfind(')');  // the name before it may hold anything
    if (end == std::string::npos) continue;   // gone meanwhile
    std::istringstream rest(stat.substr(end + 1));
    std::string state;
    pid_t parent = 0;
    rest >> state >> parent;
    children.emplace(parent, static_cast<pid_t>(std::stol(name)));
  }
  std::vector<pid_t> found{process};
  for (std::size_t k = 0; k < found.size(); ++k) {
    const auto [first, last] = children.equal_range(found[k]);
    for (auto child = first; child != last; ++child) found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

/// True if it ended by itself with 0.
bool finish(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(DataBuildKilled, TwoRanksGoOnToTheSameBytes) {
  if (!has_mpirun()) GTEST_SKIP() << "no mpirun here";
  const TemporaryFolder folder;
  write_all(folder / "s.jsonl", rows());
  write_all(folder / "r.toml", recipe_of("whole"));
  const auto begin = Clock::now();
  ASSERT_TRUE(finish(start(folder / "r.toml", folder / "log"))) << read_all(folder / "log");
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
  const auto expected = files_of(folder / "whole");
  ASSERT_GT(expected.size(), 8u);

  std::mt19937_64 random(5);  // NOLINT: the same moments each time
  int kills = 0;
  for (int round = 0; round < 4; ++round) {
    const std::string output = "killed" + std::to_string(round);
    write_all(folder / "r.toml", recipe_of(output));
    for (int attempt = 0; attempt < 5; ++attempt) {
      const pid_t mpirun = start(folder / "r.toml", folder / "log");
      // A quarter of a run is the start of the programs.
      const auto moment =
          whole / 4 + std::chrono::microseconds(
                          random() % static_cast<std::uint64_t>(whole.count() * 3 / 4 + 1));
      ::usleep(static_cast<useconds_t>(moment.count()));
      std::vector<pid_t> ranks = descendants(mpirun);
      if (round % 2 == 0) {
        ranks.insert(ranks.begin(), mpirun);  // everything at once
      } else if (ranks.size() > 1) {
        ranks.resize(1);  // one rank: mpirun ends the other
      }
      for (const pid_t process : ranks) ::kill(process, SIGKILL);
      if (!finish(mpirun)) ++kills;
    }
    const pid_t last = start(folder / "r.toml", folder / "log");
    ASSERT_TRUE(finish(last)) << read_all(folder / "log");
    EXPECT_EQ(files_of(folder / output), expected) << round;
    for (const auto& entry : fs::recursive_directory_iterator(folder / output))
      EXPECT_EQ(entry.path().string().find(".partial-"), std::string::npos) << entry.path();
  }
  EXPECT_GT(kills, 0);
}

}  // namespace
}  // namespace tigerbot
