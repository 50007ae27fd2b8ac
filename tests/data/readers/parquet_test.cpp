#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "data/readers/reading.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

const std::filesystem::path kRows =
    std::filesystem::path(TIGERBOT_SOURCE_DIR) / "tests/data/readers/tables/rows.parquet";

bool built_with_arrow() {
  return std::filesystem::exists(std::filesystem::path(TIGERBOT_BINARY_DIR) /
                                 "tigerbot-read-parquet");
}

TEST(Parquet, RowsAreDocumentsAndColumnsMetadata) {
  if (!built_with_arrow()) GTEST_SKIP() << "built without Arrow";
  const auto read = read_documents(kRows);
  ASSERT_EQ(read.texts(), (Texts{"one\n\"two\"", "中文\u0001", "last"}));
  EXPECT_EQ(read.documents[0].metadata,
            Json::parse(R"({"id": 1, "score": 0.5, "meta": {"title": "a", "tags": ["x", "y"]},
                            "day": "2026-01-02", "kind": "a"})"));
  EXPECT_EQ(read.documents[2].origin.row, 3u);
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_EQ(read.bad[0].row, 2u);
  EXPECT_EQ(read.bad[0].what, "\"text\" is null, not a string");
}

TEST(Parquet, AnyColumnIsTheText) {
  if (!built_with_arrow()) GTEST_SKIP() << "built without Arrow";
  EXPECT_EQ(read_documents(kRows, {.text_field = "kind", .keep_metadata = false}).texts(),
            (Texts{"a", "b", "a", "b"}));
  EXPECT_EQ(read_documents(kRows, {.text_field = "meta.title", .keep_metadata = false}).texts(),
            (Texts{"a", "d"}));
  const auto missing = read_documents(kRows, {.text_field = "nothing", .keep_metadata = false});
  ASSERT_EQ(missing.bad.size(), 1u);
  EXPECT_EQ(missing.bad[0].what, "there is no column \"nothing\"");
}

TEST(Parquet, CompressedFilesAreUnpackedFirst) {
  if (!built_with_arrow()) GTEST_SKIP() << "built without Arrow";
  EXPECT_EQ(read_bytes("rows.parquet.gz", gzip(read_file(kRows))).documents.size(), 3u);
}

TEST(Parquet, DamagedFilesAreBadInput) {
  if (!built_with_arrow()) GTEST_SKIP() << "built without Arrow";
  const auto bytes = read_file(kRows);
  for (const auto& damaged :
       {bytes.substr(0, bytes.size() / 2), bytes.substr(0, 6), std::string("PAR1")}) {
    const auto read = read_bytes("a.parquet", damaged);
    EXPECT_TRUE(read.documents.empty());
    EXPECT_EQ(read.bad.size(), 1u);
  }
}

TEST(Parquet, WithoutArrowTheErrorSaysWhatToDo) {
  if (built_with_arrow()) GTEST_SKIP() << "built with Arrow";
  EXPECT_THROW(open_reader(kRows, {}), Error);
}

}  // namespace
}  // namespace tigerbot::data
