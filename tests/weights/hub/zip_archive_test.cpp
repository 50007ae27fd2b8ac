#include "weights/hub/zip_archive.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>

#include "base/error.h"
#include "base/expect_error.h"
#include "base/files.h"
#include "base/scratch_folder.h"
#include "weights/hub/zip_writer.h"

namespace tigerbot {
namespace {

using testing::error_of;
using testing::ScratchFolder;
using testing::zip_archive;
using testing::ZipFile;

std::string repetitive() {
  std::string text;
  for (int k = 0; k < 5000; ++k) text += "line " + std::to_string(k % 97) + "\n";
  return text;
}

TEST(ZipArchive, ReadsStoredAndDeflatedEntries) {
  ScratchFolder folder;
  write_file(folder / "a.zip", zip_archive({{"dir/stored.txt", "plain", false},
                                            {"deflated.txt", repetitive(), true},
                                            {"empty", "", true}}));
  const ZipArchive archive(folder / "a.zip");
  ASSERT_EQ(archive.entries().size(), 3u);
  EXPECT_EQ(archive.entries()[0].name, "dir/stored.txt");
  EXPECT_LT(archive.entries()[1].compressed_size, archive.entries()[1].size);
  archive.extract(archive.entries()[0], folder / "0");
  archive.extract(archive.entries()[1], folder / "1");
  archive.extract(archive.entries()[2], folder / "2");
  EXPECT_EQ(read_file(folder / "0"), "plain");
  EXPECT_EQ(read_file(folder / "1"), repetitive());
  EXPECT_EQ(read_file(folder / "2"), "");
}

TEST(ZipArchive, ReadsPastAComment) {
  ScratchFolder folder;
  write_file(folder / "a.zip", zip_archive({{"x", "y", false}}, std::string(1000, 'c')));
  EXPECT_EQ(ZipArchive(folder / "a.zip").entries().size(), 1u);
}

TEST(ZipArchive, OtherFilesAreErrors) {
  ScratchFolder folder;
  for (const std::string& bytes :
       {std::string("short"), std::string(5000, 'x'), std::string(22, '\0')}) {
    write_file(folder / "a.zip", bytes);
    EXPECT_NE(error_of([&] { ZipArchive(folder / "a.zip"); }).find("is no zip archive"),
              std::string::npos);
  }
}

/// Without the flush to the disk that write_file() waits for: these are many.
void write_quickly(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// Opens and unpacks everything; true if that went through.
bool unpacks(const std::filesystem::path& path, const std::filesystem::path& to) {
  try {
    const ZipArchive archive(path);
    for (const auto& entry : archive.entries()) archive.extract(entry, to);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Every byte damaged in turn: an Error or the right content, never a crash.
TEST(ZipArchive, DamageIsAnErrorAndNoCrash) {
  ScratchFolder folder;
  const std::string good =
      zip_archive({{"n", repetitive().substr(0, 100), true}, {"s", "stored", false}});
  int errors = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(~bad[at]);
    write_quickly(folder / "a.zip", bad);
    errors += !unpacks(folder / "a.zip", folder / "out");
  }
  EXPECT_GT(errors, static_cast<int>(good.size() / 2));
}

TEST(ZipArchive, EveryTruncationIsAnError) {
  ScratchFolder folder;
  const std::string good = zip_archive({{"name", repetitive().substr(0, 300), true}});
  for (std::size_t size = 1; size < good.size(); ++size) {
    write_quickly(folder / "a.zip", good.substr(0, size));
    EXPECT_FALSE(unpacks(folder / "a.zip", folder / "out")) << size;
  }
}

}  // namespace
}  // namespace tigerbot
