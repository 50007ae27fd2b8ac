#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "data/readers/reading.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using namespace std::literals;
using Texts = std::vector<std::string>;

TEST(JsonLines, TextAndTheOtherFieldsComeOut) {
  const auto read = read_bytes(
      "a.jsonl", R"({"text": "a \u00e9\n", "url": "u", "n": [1, -2.5, null, true, {"k": "v"}]})"
                 "\n\n"
                 R"({"id": 18446744073709551615, "text": "b"})");
  ASSERT_EQ(read.texts(), (Texts{"a é\n", "b"}));
  EXPECT_EQ(read.documents[0].metadata,
            Json::parse(R"({"url": "u", "n": [1, -2.5, null, true, {"k": "v"}]})"));
  EXPECT_EQ(read.documents[1].metadata, Json::parse(R"({"id": 18446744073709551615})"));
  EXPECT_EQ(read.documents[1].origin.row, 1u);
  EXPECT_EQ(read.documents[1].origin.offset, 76u);
  EXPECT_TRUE(read.documents[0].edits.empty());
  EXPECT_TRUE(read.bad.empty());
}

TEST(JsonLines, AnyFieldIsTheText) {
  const auto rows = R"({"a": {"b": {"text": "deep"}, "c": 1}, "text": "flat"})"s;
  EXPECT_EQ(read_bytes("a.jsonl", rows, {.text_field = "text"}).texts(), Texts{"flat"});
  const auto deep = read_bytes("a.jsonl", rows, {.text_field = "a.b.text"});
  ASSERT_EQ(deep.texts(), Texts{"deep"});
  EXPECT_EQ(deep.documents[0].metadata, Json::parse(R"({"a": {"c": 1}, "text": "flat"})"));
  EXPECT_EQ(read_bytes("b.jsonl", R"({"a.b": "dotted name"})", {.text_field = "a.b"}).texts(),
            Texts{"dotted name"});
}

TEST(JsonLines, MetadataIsLeftOutOnRequest) {
  const auto read = read_bytes("a.jsonl", R"({"text": "t", "k": 1})", {.keep_metadata = false});
  ASSERT_EQ(read.documents.size(), 1u);
  EXPECT_TRUE(read.documents[0].metadata.is_null());
}

TEST(JsonLines, BadRowsAreNamedAndPassedOver) {
  const auto read = read_bytes("a.jsonl",
                               "{\"text\": \"one\"}\n"
                               "{\"text\": }\n"
                               "{\"title\": \"no text\"}\n"
                               "{\"text\": 3}\n"
                               "[1]\n"
                               "{\"text\": \"two\"} trailing\n"
                               "{\"text\": \"three\"}\n");
  EXPECT_EQ(read.texts(), (Texts{"one", "three"}));
  ASSERT_EQ(read.bad.size(), 5u);
  EXPECT_EQ(read.bad[0].row, 1u);
  EXPECT_EQ(read.bad[0].offset, 16u);
  EXPECT_TRUE(read.bad[0].what.starts_with("not valid JSON")) << read.bad[0].what;
  EXPECT_EQ(read.bad[1].what, "\"text\" is missing");
  EXPECT_EQ(read.bad[2].what, "\"text\" is a number, not a string");
  EXPECT_EQ(read.bad[3].what, "an array, not an object");
  EXPECT_EQ(read.bad[4].row, 5u);
}

TEST(JsonLines, RowsThatAreNearlyJsonAreRepaired) {
  const auto read =
      read_bytes("a.jsonl", R"({"text": "lone \ud800 and \udc00x, pair \ud83d\ude00"})"
                            "\n{\"text\": \"raw\ttab and \0 NUL\"}\n"
                            R"({"text": "t", "loss": NaN, "id": 123456789012345678901234567890})"s);
  ASSERT_EQ(read.texts(), (Texts{"lone \uFFFD and \uFFFDx, pair 😀", "raw\ttab and   NUL", "t"}));
  EXPECT_EQ(read.documents[2].metadata,
            Json::parse(R"({"loss": null, "id": "123456789012345678901234567890"})"));
  for (const auto& document : read.documents) EXPECT_EQ(document.edits, Texts{"reader.json"});
}

TEST(JsonLines, NulsAreTakenOut) {
  const auto read = read_bytes("a.jsonl", R"({"text": "a\u0000b"})");
  ASSERT_EQ(read.texts(), Texts{"ab"});
  EXPECT_EQ(read.documents[0].edits, Texts{"reader.nul"});
}

TEST(JsonLines, OtherEncodingsAreConverted) {
  // {"text": "中文的编码是怎样的，我们不知道"} in GB18030, and UTF-16 with its mark.
  const auto gb =
      read_bytes("a.jsonl",
                 "{\"text\": \"\xd6\xd0\xce\xc4\xb5\xc4\xb1\xe0\xc2\xeb\xca\xc7\xd4\xf5"
                 "\xd1\xf9\xb5\xc4\xa3\xac\xce\xd2\xc3\xc7\xb2\xbb\xd6\xaa\xb5\xc0\"}\n");
  ASSERT_EQ(gb.texts(), Texts{"中文的编码是怎样的，我们不知道"});
  EXPECT_EQ(gb.documents[0].edits, Texts{"reader.encoding"});
  EXPECT_EQ(gb.documents[0].metadata["encoding"], "GB18030");
  std::string wide = "\xff\xfe";
  for (const char c : "{\"text\": \"wide\"}\r\n{\"text\": \"second\"}\r\n"sv) wide += {c, '\0'};
  EXPECT_EQ(read_bytes("b.jsonl", wide).texts(), (Texts{"wide", "second"}));
}

TEST(JsonLines, BytesThatNoEncodingExplainsAreReplaced) {
  const auto read = read_bytes("a.jsonl", "{\"text\": \"数据数据数据\xff数据\"}\n");
  ASSERT_EQ(read.texts(), Texts{"数据数据数据\uFFFD数据"});
  EXPECT_EQ(read.documents[0].edits, Texts{"reader.invalid_utf8"});
}

TEST(JsonLines, LongRowsAreNeverHeldWhole) {
  std::string rows = "{\"text\": \"short\"}\n{\"text\": \"" + std::string(5 << 20, 'x') + "\"}\n";
  const std::size_t second = 18;
  rows += "{\"text\": \"after\"}\n";
  const auto read = read_bytes("a.jsonl", rows, {.max_document_bytes = 1000});
  EXPECT_EQ(read.texts(), (Texts{"short", "after"}));
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_EQ(read.bad[0].row, 1u);
  EXPECT_EQ(read.bad[0].offset, second);
  EXPECT_EQ(read.bad[0].what, "longer than max_document_bytes (1000 B)");
  EXPECT_EQ(read.documents[1].origin.row, 2u);
}

TEST(JsonLines, DeepNestingIsABadRow) {
  std::string deep = "{\"text\": \"t\", \"deep\": ";
  for (int k = 0; k < 100000; ++k) deep += '[';
  const auto read = read_bytes("a.jsonl", deep + "\n{\"text\": \"next\"}\n");
  EXPECT_EQ(read.texts(), Texts{"next"});
  ASSERT_EQ(read.bad.size(), 1u);
}

TEST(JsonLines, AFileThatEndsInTheMiddleOfARowSaysSo) {
  const auto read = read_bytes("a.jsonl", "{\"text\": \"whole\"}\n{\"text\": \"hal");
  EXPECT_EQ(read.texts(), Texts{"whole"});
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_TRUE(read.bad[0].what.ends_with("(the file may be cut off here)")) << read.bad[0].what;
}

TEST(JsonLines, RangesGiveEveryRowOnce) {
  std::string rows;
  Texts expected;
  for (int k = 0; k < 40; ++k) {
    expected.push_back(std::string(static_cast<std::size_t>(k % 7), 'a') + std::to_string(k));
    rows += "{\"text\": \"" + expected.back() + "\"}\n";
  }
  const auto file = write_input("a.jsonl", rows);
  ASSERT_TRUE(can_split(file, {}));
  const auto whole = read_documents(file);
  for (const std::uint64_t step : {1, 7, 23, 100, 5000}) {
    std::vector<Document> parts;
    for (std::uint64_t begin = 0; begin < rows.size(); begin += step) {
      auto part = read_documents(file, {.begin = begin, .end = begin + step});
      EXPECT_TRUE(part.bad.empty());
      for (auto& document : part.documents) parts.push_back(std::move(document));
    }
    ASSERT_EQ(parts.size(), expected.size()) << step;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      EXPECT_EQ(parts[k].text, expected[k]);
      EXPECT_EQ(parts[k].origin.offset, whole.documents[k].origin.offset);
    }
  }
}

TEST(JsonLines, CompressedFilesAreNotSplit) {
  const auto file = write_input("a.jsonl.gz", gzip("{\"text\": \"t\"}\n"));
  EXPECT_FALSE(can_split(file, {}));
  EXPECT_THROW(open_reader(file, {.begin = 1}), Error);
}

TEST(JsonLines, BadInputIsAnErrorWhereNobodyListens) {
  const auto reader = open_reader(write_input("a.jsonl", "{}\n"), {});
  EXPECT_THROW((void)reader->next(), Error);
}

}  // namespace
}  // namespace tigerbot::data
