#include "base/utf8.h"

#include <gtest/gtest.h>

namespace tigerbot {
namespace {

TEST(Utf8, EncodesAndDecodesEveryCodePoint) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c == 0xD800) c = 0xE000;
    std::string text;
    append_utf8(text, c);
    const Utf8Step step = decode_utf8(text, 0);
    ASSERT_TRUE(step.valid);
    ASSERT_EQ(step.code_point, c);
    ASSERT_EQ(step.length, text.size());
    ASSERT_TRUE(is_valid_utf8(text));
  }
}

TEST(Utf8, SurrogatesAndValuesTooLargeBecomeReplacementCharacters) {
  EXPECT_EQ(encode_utf8(std::u32string{0xD800, 0xDFFF, 0x110000}),
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Utf8, ReplacesMaximalSubpartsAsPythonDoes) {
  const std::string r = "\xEF\xBF\xBD";
  // bytes.decode("utf-8", errors="replace") of the same bytes
  EXPECT_EQ(replace_invalid_utf8("a\x80"
                                 "b"),
            "a" + r + "b");
  EXPECT_EQ(replace_invalid_utf8("\xC0\xAF"), r + r);
  EXPECT_EQ(replace_invalid_utf8("\xE2\x82"), r);
  EXPECT_EQ(replace_invalid_utf8("\xE2\x82z"), r + "z");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98"), r);
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98\xF0\x9F\x98\x80"), r + "\xF0\x9F\x98\x80");
  EXPECT_EQ(replace_invalid_utf8("\xF4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(replace_invalid_utf8("\xF5\xFF"), r + r);
  EXPECT_EQ(replace_invalid_utf8("\xE0\x80\x80"), r + r + r);
}

TEST(Utf8, FindsTheFirstInvalidByteBehindAsciiRuns) {
  for (std::size_t at = 0; at < 40; ++at) {
    std::string text(40, 'x');
    text[at] = '\xFF';
    EXPECT_EQ(first_invalid_utf8(text), at);
  }
  EXPECT_EQ(first_invalid_utf8(std::string(40, 'x')), std::string::npos);
}

TEST(Utf8, CompletePrefixHoldsBackOnlyACharacterThatMayStillComplete) {
  const std::string emoji = "\xF0\x9F\x98\x80";
  for (std::size_t cut = 0; cut <= 4; ++cut)
    EXPECT_EQ(complete_utf8_prefix("ab" + emoji.substr(0, cut)), cut == 4 ? 6u : 2u);
  EXPECT_EQ(complete_utf8_prefix("ab\xE2\x82"), 2u);
  EXPECT_EQ(complete_utf8_prefix("ab\xFF"), 3u);
  EXPECT_EQ(complete_utf8_prefix("ab\x80\x80\x80\x80"), 6u);
  EXPECT_EQ(complete_utf8_prefix("ab\xED\xA0"), 4u);  // a surrogate never completes
  EXPECT_EQ(complete_utf8_prefix(""), 0u);
}

}  // namespace
}  // namespace tigerbot
