#include "data/document_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/files.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

class DocumentFileTest : public ::testing::Test {
 protected:
  fs::path folder_ =
      fs::temp_directory_path() / ("tigerbot_document_file_" + std::to_string(::getpid()));
  fs::path path_ = folder_ / "unit.documents";

  void SetUp() override { create_folders(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
};

Document full_document(int number) {
  Document document;
  document.text = "text " + std::to_string(number) +
                  std::string(static_cast<std::size_t>(number % 997), 'x') + " 文書\n";
  document.origin = {"zh-manuals", "a/b.jsonl.zst", 1ull << 40, static_cast<std::uint64_t>(number)};
  document.metadata = Json{
      {"title", "T"}, {"n", number}, {"big", ~0ull}, {"real", 0.1}, {"list", {1, "two", nullptr}}};
  document.language = "zh-Hant";
  document.scores = {{"language", 0.25}, {"quality", 1.0 / 3}};
  document.edits = {"normalize.spaces", "mask.email"};
  return document;
}

void expect_equal(const Document& found, const Document& wanted) {
  EXPECT_EQ(found.text, wanted.text);
  EXPECT_EQ(found.origin.source, wanted.origin.source);
  EXPECT_EQ(found.origin.file, wanted.origin.file);
  EXPECT_EQ(found.origin.offset, wanted.origin.offset);
  EXPECT_EQ(found.origin.row, wanted.origin.row);
  EXPECT_EQ(found.metadata, wanted.metadata);
  EXPECT_EQ(found.language, wanted.language);
  EXPECT_EQ(found.scores, wanted.scores);
  EXPECT_EQ(found.edits, wanted.edits);
}

TEST_F(DocumentFileTest, EverythingOfADocumentComesBack) {
  DocumentFileWriter writer(path_);
  for (int k = 0; k < 1000; ++k) writer.append(full_document(k));
  writer.append(Document{});
  EXPECT_EQ(writer.size(), 1001u);
  EXPECT_FALSE(fs::exists(path_));
  writer.commit();

  DocumentFile file(path_);
  ASSERT_EQ(file.size(), 1001u);
  for (int k = 0; k < 1000; ++k) expect_equal(*file.next(), full_document(k));
  expect_equal(*file.next(), Document{});
  EXPECT_FALSE(file.next());
  for (const int k : {999, 0, 500, 501, 17})
    expect_equal(file.read(static_cast<std::uint64_t>(k)), full_document(k));
  EXPECT_THROW(file.read(1001), Error);
}

TEST_F(DocumentFileTest, AFileOfNoDocumentsIsRead) {
  DocumentFileWriter(path_).commit();
  DocumentFile file(path_);
  EXPECT_EQ(file.size(), 0u);
  EXPECT_FALSE(file.next());
}

TEST_F(DocumentFileTest, ADocumentLongerThanABlockIsKeptWhole) {
  Document document;
  document.text = std::string(3 << 20, 'a') + "end";
  DocumentFileWriter writer(path_);
  writer.append(document);
  writer.append(full_document(1));
  writer.commit();
  DocumentFile file(path_);
  EXPECT_EQ(file.read(0).text, document.text);
  expect_equal(file.read(1), full_document(1));
}

TEST_F(DocumentFileTest, ManyThreadsReadTheSameFile) {
  DocumentFileWriter writer(path_);
  for (int k = 0; k < 2000; ++k) writer.append(full_document(k));
  writer.commit();
  const DocumentFile file(path_);
  std::atomic<int> wrong{0};
  const auto work = [&](int step) {
    for (int k = 0; k < 2000; k += step)
      if (file.read(static_cast<std::uint64_t>(k)).text != full_document(k).text) ++wrong;
  };
  std::thread first(work, 7), second(work, 11);
  first.join();
  second.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(DocumentFileTest, ATruncatedOrChangedFileIsAnError) {
  DocumentFileWriter writer(path_);
  for (int k = 0; k < 500; ++k) writer.append(full_document(k));
  writer.commit();
  const std::string whole = read_file(path_);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{7}, whole.size() / 2, whole.size() - 1}) {
    write_file(path_, whole.substr(0, length));
    EXPECT_THROW(DocumentFile{path_}, Error) << length;
  }
  // Any byte: either opening or reading says so, and nothing else happens.
  for (std::size_t at = 8; at < whole.size(); at += 1 + whole.size() / 97) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x21);
    write_file(path_, changed);
    EXPECT_THROW(
        {
          DocumentFile file(path_);
          while (file.next()) {
          }
        },
        Error)
        << at;
  }
}

}  // namespace
}  // namespace tigerbot::data
