#include "data/readers/encoding.h"

#include <gtest/gtest.h>
#include <unicode/ucnv.h>

#include "data/readers/reading.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using namespace std::literals;

constexpr std::string_view kChinese =
    "我们在这个系统中可以使用不同的方法来处理文件。如果你没有权限，请与管理员联系。";
constexpr std::string_view kTraditional =
    "我們在這個系統中可以使用不同的方法來處理檔案。如果你沒有權限，請與管理員聯絡。";
constexpr std::string_view kJapanese =
    "このシステムではファイルを処理する方法がいくつかあります。権限がない場合は管理者に連絡してくだ"
    "さい。";
constexpr std::string_view kKorean =
    "이 시스템에서는 여러 가지 방법으로 파일을 처리할 수 있습니다. 권한이 없으면 관리자에게 "
    "문의하십시오.";
constexpr std::string_view kFrench =
    "Les élèves ont été très surpris de voir où étaient passées les pièces du théâtre après l'été.";
constexpr std::string_view kRussian =
    "В этой системе можно обрабатывать файлы разными способами, если у вас есть на это права.";

std::string encode(std::string_view utf8, const char* encoding) {
  UErrorCode status = U_ZERO_ERROR;
  std::string out(utf8.size() * 4 + 8, '\0');
  const auto size = ucnv_convert(encoding, "UTF-8", out.data(), static_cast<int32_t>(out.size()),
                                 utf8.data(), static_cast<int32_t>(utf8.size()), &status);
  EXPECT_TRUE(U_SUCCESS(status)) << encoding;
  out.resize(static_cast<std::size_t>(size));
  return out;
}

struct Case {
  const char* converter;
  std::string_view text;
  const char* name;
};
constexpr Case kCases[] = {{"gb18030", kChinese, "GB18030"},
                           {"gb18030", kTraditional, "GB18030"},
                           {"Big5", kTraditional, "Big5"},
                           {"Shift_JIS", kJapanese, "Shift_JIS"},
                           {"EUC-JP", kJapanese, "EUC-JP"},
                           {"ISO-2022-JP", kJapanese, "ISO-2022-JP"},
                           {"EUC-KR", kKorean, "EUC-KR"},
                           {"windows-1252", kFrench, "windows-1252"},
                           {"windows-1251", kRussian, "windows-1251"},
                           {"UTF-8", kKorean, "UTF-8"}};

TEST(Encoding, IsGuessedFromTheBytes) {
  for (const auto& c : kCases) {
    const auto converted = convert_to_utf8(encode(c.text, c.converter));
    ASSERT_TRUE(converted) << c.converter;
    EXPECT_EQ(converted->encoding, c.name);
    EXPECT_EQ(converted->text, c.text);
    EXPECT_FALSE(converted->replaced);
  }
}

TEST(Encoding, IsGuessedFromFewCharactersAmongMarkup) {
  const std::string markup(3000, '=');
  for (const auto& c : kCases) {
    const auto converted = convert_to_utf8(markup + "\n" + encode(c.text, c.converter));
    ASSERT_TRUE(converted) << c.converter;
    EXPECT_EQ(converted->text, markup + "\n" + std::string(c.text)) << c.converter;
  }
}

TEST(Encoding, WideTextsAreToldByMarkOrByTheirNuls) {
  for (const char* name : {"UTF-16LE", "UTF-16BE"}) {
    const auto bytes = encode("One line\nand another, 漢字 too.\n", name);
    EXPECT_EQ(wide_encoding(bytes), name);
    EXPECT_EQ(convert_to_utf8(bytes)->text, "One line\nand another, 漢字 too.\n");
  }
  EXPECT_EQ(convert_to_utf8("\xff\xfe"
                            "a\0b\0"sv)
                ->text,
            "ab");
  EXPECT_EQ(convert_to_utf8("\xfe\xff\0a\0b"sv)->text, "ab");
  EXPECT_EQ(convert_to_utf8("\xff\xfe\0\0a\0\0\0"sv)->text, "a");
}

TEST(Encoding, DeclaredOnesAreBelievedWhereTheyFit) {
  // Too short to guess.
  EXPECT_EQ(convert_to_utf8(encode("中文", "Big5"), "big5")->text, "中文");
  EXPECT_EQ(convert_to_utf8(encode("中文", "gb18030"), "GB2312")->text, "中文");
  // Wrong ones are not.
  EXPECT_EQ(convert_to_utf8(encode(kKorean, "EUC-KR"), "utf-8")->text, kKorean);
  EXPECT_EQ(convert_to_utf8(encode(kChinese, "gb18030"), "iso-8859-1")->text, kChinese);
  EXPECT_EQ(convert_to_utf8(std::string(kChinese), "gbk")->text, kChinese);
}

TEST(Encoding, FewBadBytesInUtf8AreReplaced) {
  std::string text(kJapanese);
  text.insert(30, "\xff");
  const auto converted = convert_to_utf8(text);
  ASSERT_TRUE(converted);
  EXPECT_EQ(converted->encoding, "UTF-8");
  EXPECT_TRUE(converted->replaced);
  EXPECT_EQ(converted->text.find("\xff"), std::string::npos);
}

TEST(Encoding, BinaryIsNoText) {
  std::string noise;
  std::uint32_t state = 7;
  for (int k = 0; k < 4000; ++k)
    noise += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  EXPECT_TRUE(looks_binary(noise));
  EXPECT_FALSE(convert_to_utf8(noise));
  EXPECT_TRUE(
      looks_binary("\x7f"
                   "ELF\x02\x01\x01"sv));
  EXPECT_FALSE(looks_binary(encode(kKorean, "UTF-16LE") + encode("\n \n", "UTF-16LE")));
}

TEST(Encoding, FilesInOtherEncodingsSayWhatTheyWere) {
  for (const auto& c : kCases) {
    const auto read = read_bytes("a.txt", encode(c.text, c.converter));
    ASSERT_EQ(read.documents.size(), 1u) << c.converter;
    EXPECT_EQ(read.documents[0].text, c.text);
    const bool utf8 = c.name == "UTF-8"sv;
    EXPECT_EQ(read.documents[0].edits.size(), utf8 ? 0u : 1u);
    if (utf8) continue;
    EXPECT_EQ(read.documents[0].metadata["encoding"], c.name);
  }
}

TEST(Encoding, StreamsOfUtf16AreReadLineByLine) {
  std::string text;
  for (int k = 0; k < 20000; ++k) text += "行 " + std::to_string(k) + "\r\n";
  const auto read =
      read_bytes("a.txt", "\xff\xfe" + encode(text, "UTF-16LE"), {.text_unit = "line"});
  ASSERT_EQ(read.documents.size(), 20000u);
  EXPECT_EQ(read.documents[19999].text, "行 19999");
}

}  // namespace
}  // namespace tigerbot::data
