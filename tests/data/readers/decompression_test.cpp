#include "data/readers/decompression.h"

#include <gtest/gtest.h>

#include "data/readers/reading.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using namespace std::literals;

struct Unpacked {
  std::string bytes;
  std::string damage;
};

Unpacked unpack(std::string_view archive, double max_ratio = 200, std::size_t step = 1000) {
  Unpacked out;
  try {
    const auto source = decompress(open_memory(archive), max_ratio);
    std::string piece(step, '\0');
    while (const auto got = source->read(piece.data(), piece.size()))
      out.bytes.append(piece, 0, got);
    EXPECT_EQ(source->consumed(), archive.size());
  } catch (const DamagedInput& error) {
    out.damage = error.what();
  }
  return out;
}

/// Text that does not compress to nothing.
std::string sample(std::size_t size) {
  std::string out;
  std::uint32_t state = 1;
  while (out.size() < size) {
    state = state * 1664525 + 1013904223;
    out += std::to_string(state >> 12) + ' ';
  }
  out.resize(size);
  return out;
}

struct Format {
  const char* name;
  std::string (*pack)(std::string_view);
};
const Format kFormats[] = {{"gzip", gzip}, {"zstd", zstd}, {"bzip2", bzip2}};

TEST(Decompression, PlainBytesPass) {
  EXPECT_EQ(unpack("plain").bytes, "plain");
  EXPECT_EQ(unpack("").bytes, "");
  EXPECT_EQ(unpack("BZhello, which is no archive").bytes, "BZhello, which is no archive");
}

TEST(Decompression, MembersBehindOneAnotherAreOneText) {
  const std::string a = sample(300000), b = "second", c = sample(70000);
  for (const auto& format : kFormats) {
    const auto got = unpack(format.pack(a) + format.pack("") + format.pack(b) + format.pack(c));
    EXPECT_EQ(got.damage, "") << format.name;
    EXPECT_TRUE(got.bytes == a + b + c) << format.name;
  }
}

TEST(Decompression, SkippableFramesOfZstdAreSkipped) {
  const std::string skippable = "\x50\x2a\x4d\x18\x05\x00\x00\x00hello"s;
  EXPECT_EQ(unpack(skippable + zstd("a") + skippable + zstd("b")).bytes, "ab");
}

TEST(Decompression, TruncatedArchivesGiveWhatCameBefore) {
  const std::string text = sample(2000000);
  for (const auto& format : kFormats) {
    const std::string archive = format.pack(text);
    const auto got = unpack(std::string_view(archive).substr(0, archive.size() - 5000));
    EXPECT_NE(got.damage.find("is cut off after"), std::string::npos) << got.damage;
    EXPECT_GT(got.bytes.size(), text.size() / 2) << format.name;
    EXPECT_TRUE(text.starts_with(got.bytes)) << format.name;
  }
}

TEST(Decompression, DamagedArchivesGiveWhatCameBefore) {
  const std::string text = sample(4000000);
  for (const auto& format : kFormats) {
    std::string archive = format.pack(text);
    for (std::size_t k = 0; k < 64; ++k) archive[archive.size() / 2 + k] ^= 0x5a;
    const auto got = unpack(archive);
    EXPECT_NE(got.damage.find("damaged near byte"), std::string::npos) << format.name;
    EXPECT_GT(got.bytes.size(), text.size() / 4) << format.name;
  }
}

TEST(Decompression, ZerosBehindTheLastMemberArePadding) {
  for (const auto& format : kFormats) {
    EXPECT_EQ(unpack(format.pack("a") + std::string(1000, '\0')).damage, "") << format.name;
    EXPECT_NE(unpack(format.pack("a") + "rubbish").damage, "") << format.name;
    EXPECT_EQ(unpack(format.pack("a") + "rubbish").bytes, "a") << format.name;
  }
}

TEST(Decompression, BombsAreStopped) {
  const std::string zeros(40 << 20, '\0');
  for (const auto& format : kFormats) {
    const std::string archive = format.pack(zeros);
    const auto got = unpack(archive, 200, 1 << 20);
    EXPECT_NE(got.damage.find("raise max_compression_ratio"), std::string::npos) << got.damage;
    EXPECT_LT(got.bytes.size(), 20u << 20) << format.name;
    EXPECT_EQ(unpack(archive, 1e9, 1 << 20).bytes.size(), zeros.size()) << format.name;
  }
}

TEST(Decompression, AReaderGivesTheRowsBeforeTheDamageAndOneBadInput) {
  std::string rows;
  for (int k = 0; k < 50000; ++k) rows += "{\"text\": \"" + sample(20 + k % 50) + "\"}\n";
  for (const auto& format : kFormats) {
    const std::string archive = format.pack(rows);
    const auto read =
        read_bytes("rows.jsonl", std::string_view(archive).substr(0, archive.size() * 3 / 4));
    EXPECT_GT(read.documents.size(), 1000u) << format.name;
    ASSERT_EQ(read.bad.size(), 1u) << format.name;
    EXPECT_EQ(read.bad[0].row, read.documents.size());
    EXPECT_NE(read.bad[0].what.find("is cut off after"), std::string::npos);
  }
}

}  // namespace
}  // namespace tigerbot::data
