#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "data/pipeline/run_fixture.h"

/// What a run holds in memory, as the system counts it: the peak of a child process of its own.
namespace tigerbot::data::testing {
namespace {

constexpr std::uint64_t kLimit = 64 << 20;

/// A text of some 700 bytes out of 50,000 words; every tenth is nearly the one before it.
std::string text_of(std::uint64_t number) {
  static const std::vector<std::string> kWords = [] {
    std::vector<std::string> words(50000);
    RandomStream random{1, 0};
    for (std::string& word : words)
      for (std::uint64_t letters = 4 + random.below(6); letters > 0; --letters)
        word += static_cast<char>('a' + random.below(26));
    return words;
  }();
  const bool copy = number % 10 == 9;
  RandomStream random{2, copy ? number - 1 : number};
  std::string text;
  for (int word = 0; word < 90; ++word) text += kWords[random.below(kWords.size())] + " ";
  return copy ? text + "more" : text;
}

struct Peak {
  std::uint64_t input = 0, memory = 0;  // bytes
};

/// A run over so many documents, in a process of its own.
Peak run_over(std::uint64_t documents) {
  SmallRun run(3);
  {
    std::ofstream rows((run.folder / "a.jsonl").string());
    for (std::uint64_t k = 0; k < documents; ++k) rows << Json{{"text", text_of(k)}}.dump() << '\n';
  }
  run.recipe_text.replace(run.recipe_text.find("256 MiB"), 7, "64 MiB");
  run.recipe_text.replace(run.recipe_text.find("8 KiB"), 5, "8 MiB");
  run.mixture = "";
  run.output_settings = "[output]\nshard_bytes = \"8 MiB\"\nvalidation = 0.01\n";
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      run.build();
      ::_exit(0);
    } catch (const std::exception& error) {
      std::fputs(error.what(), stderr);
      ::_exit(1);
    }
  }
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(std::filesystem::exists(run.folder / "out/manifest.json"));
  return {std::filesystem::file_size(run.folder / "a.jsonl"),
          static_cast<std::uint64_t>(usage.ru_maxrss) << 10};
}

TEST(Memory, StaysUnderTheLimitWhateverTheInput) {
  const Peak nothing = run_over(3);  // the program itself, with its tables
  const Peak large = run_over(300000);
  EXPECT_GT(large.input, 3 * kLimit);
  EXPECT_LT(large.memory - nothing.memory, kLimit)
      << (large.memory >> 20) << " MiB, " << (nothing.memory >> 20) << " without documents";
  // Three times the documents: what a document adds is its state.
  const Peak medium = run_over(100000);
  const double more = static_cast<double>(large.memory) - static_cast<double>(medium.memory);
  EXPECT_LE(more / 200000, 48) << (large.memory >> 20) << " and " << (medium.memory >> 20)
                               << " MiB";
}

}  // namespace
}  // namespace tigerbot::data::testing
