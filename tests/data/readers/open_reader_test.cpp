#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "data/readers/file_format.h"
#include "data/readers/reading.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using namespace std::literals;
using Texts = std::vector<std::string>;

TEST(FileFormat, MagicNumbersComeBeforeNamesAndNamesBeforeLooks) {
  EXPECT_EQ(detect_format("a.txt", "%PDF-1.4"), "pdf");
  EXPECT_EQ(detect_format("a.jsonl.gz", "anything"), "jsonl");
  EXPECT_EQ(detect_format("CC-MAIN.warc.wet.gz", "x"), "wet");
  EXPECT_EQ(detect_format("CC-MAIN.warc.wet.gz", "WARC/1.0\r\n"), "warc");
  EXPECT_EQ(detect_format("zhwiki-pages-articles.xml.bz2", "<?xml"), "wikipedia");
  EXPECT_EQ(detect_format("noname", "  {\"text\": 1}"), "jsonl");
  EXPECT_EQ(detect_format("noname", "\n<!DOCTYPE HTML PUBLIC"), "html");
  EXPECT_EQ(detect_format("noname", "Once upon a time"), "text");
}

TEST(PlainText, AFileIsADocument) {
  const auto read = read_bytes("a.txt", "One.\n\nTwo.\n");
  ASSERT_EQ(read.texts(), Texts{"One.\n\nTwo.\n"});
  EXPECT_TRUE(read.documents[0].origin.file.ends_with("a.txt"));
}

TEST(PlainText, ParagraphsAndLines) {
  const auto text = "One\nmore.\r\n\r\n \nTwo.\n\n\n\xE4\xB8\x89\xE3\x80\x82";
  const auto paragraphs = read_bytes("a.txt", text, {.text_unit = "paragraph"});
  EXPECT_EQ(paragraphs.texts(), (Texts{"One\nmore.", "Two.", "三。"}));
  EXPECT_EQ(paragraphs.documents[1].origin.offset, 15u);
  EXPECT_EQ(paragraphs.documents[1].origin.row, 1u);
  EXPECT_EQ(read_bytes("a.txt", text, {.text_unit = "line"}).texts(),
            (Texts{"One", "more.", "Two.", "三。"}));
}

TEST(PlainText, TooLongUnitsAreBadInput) {
  const std::string text = "short\n\n" + std::string(3000, 'x') + "\nsame\n\nlast\n";
  for (const char* unit : {"paragraph", "line", "file"}) {
    const auto read = read_bytes("a.txt", text, {.text_unit = unit, .max_document_bytes = 100});
    EXPECT_EQ(read.bad.size(), 1u) << unit;
    EXPECT_EQ(read.documents.size(), unit == "file"s ? 0u : unit == "line"s ? 3u : 2u);
  }
}

TEST(OpenReader, EmptyFilesHaveNoDocuments) {
  for (const char* name : {"a.txt", "a.jsonl", "a"}) {
    const auto read = read_bytes(name, "");
    EXPECT_TRUE(read.documents.empty() && read.bad.empty()) << name;
  }
}

TEST(OpenReader, FilesThatCannotBeReadAreBadInput) {
  const auto missing = read_documents("/nowhere/missing.jsonl");
  ASSERT_EQ(missing.bad.size(), 1u);
  EXPECT_EQ(missing.bad[0].what, "cannot be read: No such file or directory");
  const auto folder = read_documents(write_input("folder/a.txt", "x").parent_path());
  ASSERT_EQ(folder.bad.size(), 1u);
  EXPECT_EQ(folder.bad[0].what, "is a folder, not a file");
}

TEST(OpenReader, BinaryFilesAreBadInput) {
  std::string noise;
  for (int k = 0; k < 5000; ++k) noise += static_cast<char>(k * 7919 >> 3);
  for (const auto& bytes : {noise, "\x89PNG\r\n\x1a\n and so on"s, "PK\x03\x04 zip"s}) {
    for (const char* name : {"a.txt", "a.jsonl", "a"}) {
      const auto read = read_bytes(name, bytes);
      EXPECT_TRUE(read.documents.empty()) << name;
      EXPECT_EQ(read.bad.size(), 1u) << name;
    }
  }
}

TEST(OpenReader, WrongOptionsAreErrors) {
  const auto file = write_input("a.jsonl", "{}");
  EXPECT_THROW(open_reader(file, {.format = "jsnol"}), Error);
  EXPECT_THROW(open_reader(file, {.text_unit = "page"}), Error);
  EXPECT_THROW(open_reader(file, {.text_field = ""}), Error);
}

TEST(FindInputs, FilesFoldersAndGlobs) {
  const auto folder = write_input("in/b.jsonl", "x").parent_path();
  for (const char* name : {"in/a.jsonl", "in/deep/c.txt", "in/.hidden", "in/[odd].txt"})
    write_input(name, "x");
  const auto names = [&](const Texts& patterns) {
    Texts out;
    for (const auto& path : find_inputs(patterns, folder))
      out.push_back(path.lexically_relative(folder).string());
    return out;
  };
  EXPECT_EQ(names({"b.jsonl", "a.jsonl"}), (Texts{"b.jsonl", "a.jsonl"}));
  EXPECT_EQ(names({"*.jsonl", "b.jsonl"}), (Texts{"a.jsonl", "b.jsonl"}));
  EXPECT_EQ(names({"{deep/c,nothing}.txt"}), Texts{"deep/c.txt"});
  EXPECT_EQ(names({"[odd].txt"}), Texts{"[odd].txt"});
  EXPECT_EQ(names({folder.string()}), (Texts{"[odd].txt", "a.jsonl", "b.jsonl", "deep/c.txt"}));
  EXPECT_THROW(names({"*.parquet"}), Error);
}

}  // namespace
}  // namespace tigerbot::data
