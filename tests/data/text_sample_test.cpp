#include "data/text_sample.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

class TextSampleTest : public ::testing::Test {
 protected:
  TextSampleTest() {
    folder_ = fs::temp_directory_path() / ("tigerbot-sample-" + std::to_string(getpid()));
    fs::create_directories(folder_);
    std::string rows;
    for (int i = 0; i < 600; ++i) {
      const char* language = i % 6 == 0 ? "ko" : i % 3 == 0 ? "zh-Hant" : i % 2 == 0 ? "zh" : "en";
      rows +=
          Json{{"text", std::to_string(i) + std::string(90, 'x')}, {"language", language}}.dump();
      rows += "\n";
    }
    write_file(folder_ / "rows.jsonl", rows);
    write_file(folder_ / "report.html", "<html>no text</html>");
    write_file(folder_ / "plain.txt", "one\n\ntwo two\n");
  }
  ~TextSampleTest() override { fs::remove_all(folder_); }

  std::set<std::string> draw(const std::vector<std::string>& files, std::uint64_t bytes,
                             std::map<std::string, double> shares, std::uint64_t seed = 0) {
    SampleOptions options;
    options.bytes = bytes;
    options.shares = std::move(shares);
    options.seed = seed;
    TextSample sample(find_sample_inputs(files), options);
    std::set<std::string> texts;
    while (const auto document = sample.next()) texts.insert(document->text);
    languages_ = sample.languages();
    return texts;
  }

  fs::path folder_;
  std::map<std::string, TextSample::Language> languages_;
};

TEST_F(TextSampleTest, TakesAllWithoutASize) {
  EXPECT_EQ(draw({folder_.string()}, 0, {}).size(), 600u);  // the rows, not what stands beside them
  EXPECT_EQ(languages_.at("zh").texts, 300u);               // zh-Hant is Chinese
  EXPECT_EQ(languages_.at("ko").texts, 100u);
}

TEST_F(TextSampleTest, SharesAreKeptToTheByteOfATextAndSpreadEvenly) {
  const auto texts = draw({(folder_ / "rows.jsonl").string()}, 12000, {{"zh", 3}, {"ko", 1}});
  EXPECT_NEAR(static_cast<double>(languages_.at("zh").bytes), 9000, 100);
  EXPECT_NEAR(static_cast<double>(languages_.at("ko").bytes), 3000, 100);
  EXPECT_FALSE(languages_.contains("en"));
  EXPECT_GT(languages_.at("zh").available_bytes, 27000u);
  // Not the first ones of the file: the drawn rows' numbers reach from its beginning to its end.
  std::set<int> tenths;
  for (const std::string& text : texts) tenths.insert(std::stoi(text) / 60);
  EXPECT_EQ(tenths.size(), 10u);
}

TEST_F(TextSampleTest, IsTheSameEveryTimeAndASmallerOneIsInALarger) {
  const std::vector<std::string> files{(folder_ / "rows.jsonl").string()};
  const auto large = draw(files, 12000, {{"zh", 1}});
  EXPECT_EQ(draw(files, 12000, {{"zh", 1}}), large);
  EXPECT_NE(draw(files, 12000, {{"zh", 1}}, 5), large);
  const auto small = draw(files, 4000, {{"zh", 1}});
  EXPECT_TRUE(std::includes(large.begin(), large.end(), small.begin(), small.end()));
}

TEST_F(TextSampleTest, ALanguageThatIsMissingIsNamed) {
  try {
    draw({(folder_ / "rows.jsonl").string()}, 1000, {{"zh", 1}, {"ja", 1}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("asks for \"ja\""), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("found: en, ko, zh"), std::string::npos);
  }
  EXPECT_THROW(draw({(folder_ / "rows.jsonl").string()}, 0, {{"zh", 1}}), Error);
  // A file's language can be told.
  EXPECT_EQ(draw({"ja=" + (folder_ / "plain.txt").string()}, 0, {}).size(), 2u);
  EXPECT_EQ(languages_.at("ja").texts, 2u);
}

TEST_F(TextSampleTest, AFileWithoutTextOfItsLanguageIsAnError) {
  write_file(folder_ / "empty.jsonl", "");
  write_file(folder_ / "blank.jsonl", "{\"text\": \"\"}\n");
  const std::string rows = "ko=" + (folder_ / "rows.jsonl").string();
  const auto message = [&](const std::string& file, std::uint64_t bytes) -> std::string {
    try {
      draw({rows, "ja=" + (folder_ / file).string()}, bytes, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  for (const std::uint64_t bytes : {0, 8000}) {
    for (const char* file : {"empty.jsonl", "blank.jsonl"})
      EXPECT_NE(message(file, bytes).find("there is no text here, and \"ja\""), std::string::npos)
          << file << bytes << message(file, bytes);
  }
  EXPECT_EQ(message("plain.txt", 8000), "");
  EXPECT_NE(message("plain.txt", 4).find("ask for more"), std::string::npos);
}

TEST(ParseShares, TakesNumbersAboveZeroOnce) {
  EXPECT_EQ(parse_shares({"zh=0.5,ja=3", "ko=1"}),
            (std::map<std::string, double>{{"zh", 0.5}, {"ja", 3}, {"ko", 1}}));
  for (const char* bad : {"zh", "zh=", "zh=0", "zh=-1", "zh=x", "=1", "zh=1,zh=2", "zh=inf"}) {
    EXPECT_THROW(parse_shares({bad}), Error) << bad;
  }
}

}  // namespace
}  // namespace tigerbot::data
