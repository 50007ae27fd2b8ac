#include "train/event_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/files.h"
#include "base/scratch_folder.h"
#include "train/html_report.h"
#include "train/metrics.h"

namespace tigerbot::train {
namespace {

using tigerbot::testing::ScratchFolder;

TEST(EventFile, ChecksumsAreCastagnolis) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);  // RFC 3720's check value
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
}

std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xA282EAD8; }

template <typename T>
T number_at(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

/// The records of a TFRecord file, with their checksums checked.
std::vector<std::string> records_of(const std::filesystem::path& folder) {
  std::vector<std::string> records;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string bytes = read_file(entry.path());
    for (std::size_t at = 0; at < bytes.size();) {
      const auto length = number_at<std::uint64_t>(bytes, at);
      EXPECT_EQ(number_at<std::uint32_t>(bytes, at + 8), masked(crc32c(bytes.substr(at, 8))));
      records.push_back(bytes.substr(at + 12, length));
      EXPECT_EQ(number_at<std::uint32_t>(bytes, at + 12 + length), masked(crc32c(records.back())));
      at += 16 + length;
    }
  }
  return records;
}

TEST(EventFile, RecordsAreFramedAndHoldTagsAndValues) {
  const ScratchFolder folder;
  {
    EventFile file(folder.path(), 0);
    file.add_scalars(300, {{"train/loss", 2.5}});
  }
  const auto records = records_of(folder.path());
  ASSERT_EQ(records.size(), 2U);
  EXPECT_NE(records[0].find("brain.Event:2"), std::string::npos);
  // field 1 (time), field 2 = 300 as a varint, field 5 = {1: {1: tag, 2: 2.5f}}
  const std::string expected =
      std::string("\x10\xAC\x02\x2A\x13\x0A\x11\x0A\x0Atrain/loss\x15", 20) +
      std::string("\x00\x00\x20\x40", 4);
  EXPECT_EQ(records[1].substr(9), expected);
}

TEST(Metrics, LinesOfStepsThatComeAgainAreRemoved) {
  const ScratchFolder folder;
  {
    Metrics metrics(folder.path(), 0);
    for (int step = 1; step <= 5; ++step) metrics.add(step, "train", {{"loss", 1.0 / step}});
  }
  {
    Metrics metrics(folder.path(), 3);
    EXPECT_EQ(metrics.lines().size(), 3U);
    metrics.add(4, "train", {{"loss", 9}});
  }
  Metrics metrics(folder.path(), 100);
  ASSERT_EQ(metrics.lines().size(), 4U);
  EXPECT_EQ(metrics.lines()[3].at("loss"), 9);
}

TEST(HtmlReport, TextIsEscapedAndCurvesAreDrawn) {
  ReportContents contents;
  contents.title = "<run>";
  contents.manifest = Json::object();
  contents.summary = Json::object();
  contents.versions = Json::object();
  for (int step = 1; step <= 1000; ++step) {
    contents.metrics.push_back({{"step", step},
                                {"kind", "train"},
                                {"loss", 5.0 / step},
                                {"loss_by_source", {{"a&b", 1.0 * step}, {"c", 2.0}}}});
  }
  contents.metrics.push_back(
      {{"step", 9}, {"kind", "sample"}, {"prompt", "<b>"}, {"text", "</pre>"}});
  const std::string page = html_report(contents);
  EXPECT_NE(page.find("&lt;run&gt;"), std::string::npos);
  EXPECT_NE(page.find("a&amp;b"), std::string::npos);
  EXPECT_NE(page.find("&lt;/pre&gt;"), std::string::npos);
  EXPECT_NE(page.find("<path d=\"M"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_LT(page.size(), 60'000U);
}

}  // namespace
}  // namespace tigerbot::train
