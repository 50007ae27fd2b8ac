#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "base/expect_error.h"
#include "base/hash.h"
#include "data/pipeline/run_fixture.h"

namespace tigerbot::data::testing {
namespace {

namespace fs = std::filesystem;
using tigerbot::testing::error_of;

/// Every file under a folder with the time at which it was written.
std::map<std::string, fs::file_time_type> times_of(const fs::path& folder) {
  std::map<std::string, fs::file_time_type> times;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) times[entry.path().string()] = entry.last_write_time();
  return times;
}

TEST(Build, TheManifestNamesEveryShardWithItsChecksum) {
  const SmallRun run;
  run.build();
  const auto files = run.files();
  const Json manifest = Json::parse(files.at("manifest.json"));
  ASSERT_GT(manifest.at("shards").size(), 5u);
  EXPECT_EQ(manifest.at("shards").size() + 1, files.size());
  std::uint64_t documents = 0;
  for (const Json& shard : manifest.at("shards")) {
    const std::string& bytes = files.at(shard.at("name"));
    EXPECT_EQ(shard.at("sha256"), sha256_hex(bytes));
    EXPECT_EQ(shard.at("file_bytes"), bytes.size());
    documents += shard.at("documents").get<std::uint64_t>();
  }
  EXPECT_EQ(documents, run.rows("train").size() + run.rows("validation").size());
  EXPECT_EQ(manifest.at("train").at("documents"), run.rows("train").size());
}

TEST(Build, ARowSaysWhereItsTextCameFrom) {
  const SmallRun run;
  run.build();
  const std::string input = read_file(run.folder / "a.jsonl");
  int seen = 0;
  for (const Json& row : run.rows("train")) {
    if (row.at("source") != "a") continue;
    const Json& provenance = row.at("provenance");
    EXPECT_EQ(provenance.at("file"), (run.folder / "a.jsonl").string());
    EXPECT_EQ(provenance.at("licence"), "CC0");
    EXPECT_EQ(provenance.at("stages"),
              Json::parse(R"(["normalize","exact_duplicates","near_duplicates"])"));
    const auto offset = provenance.at("offset").get<std::size_t>();
    const Json line = Json::parse(input.substr(offset, input.find('\n', offset) - offset));
    EXPECT_EQ(line.at("url"), row.at("metadata").at("url"));
    EXPECT_EQ(line.at("text"), row.at("text"));
    ++seen;
  }
  EXPECT_GT(seen, 20);
}

TEST(Build, DuplicatesAreGoneAndSharesAreReached) {
  SmallRun run;
  run.mixture = "[mixture.shares]\nbooks = 0.4\n";
  run.build();
  std::set<std::string> texts;
  double books = 0, all = 0;
  for (const Json& row : run.rows("train")) {
    EXPECT_TRUE(texts.insert(row.at("text")).second) << row.at("text");
    const auto size = static_cast<double>(row.at("text").get<std::string>().size());
    all += size;
    if (row.at("provenance").at("kind") == "books") books += size;
  }
  EXPECT_NEAR(books / all, 0.4, 0.02);
  const Json manifest = Json::parse(run.files().at("manifest.json"));
  EXPECT_EQ(manifest.at("dropped").at("exact_duplicates").at("documents"), 15);
  EXPECT_EQ(manifest.at("dropped").at("near_duplicates").at("documents"), 15);
}

TEST(Build, SharesOfTokensCountTokens) {
  SmallRun run;
  run.mixture =
      "[mixture]\nby = \"tokens\"\ntokenizer = \"words\"\n[mixture.shares]\nb = 0.7\nc = 0.1\n";
  const BuildResult result = run.build();
  std::map<std::string, double> words;
  double all = 0;
  for (const Json& row : run.rows("train")) {
    std::vector<TokenId> ids;
    WordTokenizer().encode(row.at("text").get<std::string>(), {}, ids);
    words[row.at("source")] += static_cast<double>(ids.size());
    all += static_cast<double>(ids.size());
  }
  EXPECT_NEAR(words["b"] / all, 0.7, 0.02);
  EXPECT_NEAR(words["c"] / all, 0.1, 0.02);
  EXPECT_EQ(result.report.at("train").at("tokens"), all);
}

TEST(Build, CopiesStayInTheTrainingSplitAndAreNumbered) {
  const SmallRun run;
  run.build();
  std::map<std::string, std::set<int>> copies;
  for (const Json& row : run.rows("train"))
    EXPECT_TRUE(copies[row.at("id")].insert(row.at("provenance").value("copy", 0)).second);
  std::size_t most = 0;
  for (const auto& item : copies) most = std::max(most, item.second.size());
  EXPECT_EQ(most, 3u);
  std::set<std::string> validation;
  for (const Json& row : run.rows("validation")) {
    EXPECT_TRUE(validation.insert(row.at("id")).second);
    EXPECT_FALSE(copies.contains(row.at("id")));
  }
  EXPECT_GT(validation.size(), 5u);
}

TEST(Build, AnyNumberOfThreadsGivesTheSameBytes) {
  const SmallRun run;
  run.build("one", 1);
  const auto expected = run.files("one");
  for (const int threads : {2, 5}) {
    const std::string name = "threads" + std::to_string(threads);
    run.build(name, threads);
    EXPECT_EQ(run.files(name), expected) << threads;
  }
}

TEST(Build, KilledAtAnyMomentItGoesOnToTheSameBytes) {
  const SmallRun run;
  const auto start = std::chrono::steady_clock::now();
  run.build("whole", 2);
  const auto whole = std::chrono::steady_clock::now() - start;
  // Moments within the time of one run, so that a fast machine is killed in the middle too.
  const auto latest = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(whole).count() * 3 / 5);
  const auto expected = run.files("whole");
  int kills = 0;
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::string name = "killed" + std::to_string(round);
    RandomStream random{11, round};
    for (int attempt = 0; attempt < 12; ++attempt) {
      const int threads = 1 + static_cast<int>(random.below(3));
      const auto moment =
          500 + static_cast<unsigned>(random.below(std::max<std::uint64_t>(latest, 1)));
      if (in_child([&] { run.build(name, threads); }, moment) == -1) ++kills;
    }
    run.build(name, 2);
    ASSERT_EQ(run.files(name), expected) << round;
    // Nothing half-written is left.
    for (const auto& item : times_of(run.folder / name))
      EXPECT_EQ(item.first.find(".partial-"), std::string::npos) << item.first;
  }
  EXPECT_GT(kills, 0);
}

TEST(Build, ASecondRunDoesNothing) {
  const SmallRun run;
  EXPECT_FALSE(run.build().up_to_date);
  const auto before = times_of(run.folder / "out");
  EXPECT_TRUE(run.build().up_to_date);
  EXPECT_EQ(times_of(run.folder / "out"), before);
}

TEST(Build, ChangedSettingsRunOnlyWhatDependsOnThem) {
  SmallRun run;
  run.build();
  const auto before = times_of(run.folder / "out" / "work" / "units");
  const auto old = run.files();
  run.mixture = "[mixture]\nby = \"documents\"\ntotal = 60\n";
  EXPECT_FALSE(run.build().up_to_date);
  EXPECT_EQ(times_of(run.folder / "out" / "work" / "units"), before);
  EXPECT_NE(run.files(), old);
  EXPECT_NEAR(static_cast<double>(run.rows("train").size()), 60, 2);

  // Another file of one source: the other sources' units stay.
  write_file(run.folder / "c.txt", made_up_text(999, 30) + "\n");
  run.build();
  std::size_t same = 0;
  for (const auto& item : times_of(run.folder / "out" / "work" / "units"))
    same += before.contains(item.first) && before.at(item.first) == item.second;
  EXPECT_GT(same, before.size() / 2);
  EXPECT_LT(same, before.size());
}

TEST(Build, AShardThatIsGoneIsMadeAgain) {
  const SmallRun run;
  run.build();
  const auto expected = run.files();
  fs::remove(run.folder / "out" / "train-00001.jsonl.zst");
  EXPECT_FALSE(run.build().up_to_date);
  EXPECT_EQ(run.files(), expected);
  fs::remove_all(run.folder / "out" / "work");
  fs::remove(run.folder / "out" / "manifest.json");
  run.build();
  EXPECT_EQ(run.files(), expected);
}

TEST(Build, AFullDiskIsOneLineAndLosesNothing) {
  const SmallRun run;
  run.build("whole");
  const auto expected = run.files("whole");
  // No file may grow past a limit, as if the disk were full there; each time a little further.
  int failures = 0;
  for (const rlim_t limit : {600u, 3000u, 9000u}) {
    failures += in_child([&] {
                  ::signal(SIGXFSZ, SIG_IGN);
                  const rlimit bound{limit, limit};
                  ::setrlimit(RLIMIT_FSIZE, &bound);
                  const std::string message = error_of([&] { run.build("full"); });
                  if (message.find("cannot be written") == std::string::npos) ::_exit(1);
                  fail("as expected");
                }) == 9;
    EXPECT_FALSE(fs::exists(run.folder / "full" / "manifest.json"));
  }
  EXPECT_EQ(failures, 3);
  run.build("full");
  EXPECT_EQ(run.files("full"), expected);
}

TEST(Build, DocumentsOfAnEarlierRunAreNotRepeated) {
  SmallRun run;
  run.mixture = "";
  run.build("first");
  std::set<std::string> first;
  for (const char* split : {"train", "validation"})
    for (const Json& row : run.rows(split, "first")) first.insert(row.at("text"));
  std::string more;
  for (std::uint64_t k = 140; k < 190; ++k)
    more += Json{{"text", made_up_text(k, 40 + k % 90)}}.dump() + "\n";
  write_file(run.folder / "a.jsonl", more);
  run.recipe_text.insert(run.recipe_text.find("seed"), "earlier = [\"first\"]\n");
  run.build("second");
  const auto rows = run.rows("train", "second");
  EXPECT_GT(rows.size(), 20u);
  for (const Json& row : rows) EXPECT_FALSE(first.contains(row.at("text"))) << row.dump();
}

TEST(Build, BadRowsAreCountedAndEndTheRunOnlyPastTheLimit) {
  SmallRun run;
  write_file(run.folder / "a.jsonl",
             read_file(run.folder / "a.jsonl") + "{\"text\": 5}\n{\"no\": 1}\nnonsense\n");
  const BuildResult result = run.build();
  EXPECT_EQ(result.report.at("bad_inputs"), 3);
  EXPECT_EQ(result.report.at("statistics").at("first_bad_inputs").at(0).at("file"),
            (run.folder / "a.jsonl").string());
  run.recipe_text.insert(run.recipe_text.find("seed"), "bad_row_limit = 2\n");
  for (const std::string output : {"fresh", "out2"})
    EXPECT_NE(error_of([&] { run.build(output); }).find("bad_row_limit"), std::string::npos);
}

TEST(Build, MistakesOfARecipeAreOneLine) {
  SmallRun run;
  run.mixture = "[mixture]\ntotal = \"1 GB\"\n[mixture.shares]\nbooks = 0.5\nweb = 0.5\n";
  EXPECT_NE(error_of([&] { run.build(); }).find("lower total to"), std::string::npos);
  run.mixture = "";
  write_file(run.folder / "c.txt", "");
  write_file(run.folder / "b.jsonl", "");
  write_file(run.folder / "a.jsonl", "");
  EXPECT_NE(error_of([&] { run.build(); }).find("nothing is left to mix"), std::string::npos);
  run.recipe_text.replace(run.recipe_text.find("files = \"c.txt\""), 15, "files = \"d/*.x\"");
  EXPECT_NE(error_of([&] { run.build(); }).find("d/*.x"), std::string::npos);
  run.recipe_text += "similarityy = 0.9\n";
  EXPECT_NE(error_of([&] { run.build(); }).find("similarity"), std::string::npos);
}

}  // namespace
}  // namespace tigerbot::data::testing
