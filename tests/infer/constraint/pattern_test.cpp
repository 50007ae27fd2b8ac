#include "infer/constraint/pattern.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "infer/constraint/matcher.h"

namespace tigerbot::testing {
namespace {

using constraint::PatternMatch;
using constraint::PatternReading;
using constraint::Spelling;

bool whole(const std::string& pattern, std::string_view text) {
  constraint::ExpressionPool pool;
  return pool.matches(
      constraint::pattern_expression(pool, pattern, PatternMatch::kWhole, PatternReading::kNarrow,
                                     Spelling::kPlain, "test"),
      text);
}

bool search(const std::string& pattern, std::string_view text,
            PatternReading reading = PatternReading::kNarrow) {
  constraint::ExpressionPool pool;
  return pool.matches(constraint::pattern_expression(pool, pattern, PatternMatch::kSearch, reading,
                                                     Spelling::kPlain, "test"),
                      text);
}

std::string refused(const std::string& pattern) { return refusal(AnswerFormat::pattern(pattern)); }

TEST(Pattern, WholeTexts) {
  EXPECT_TRUE(whole("a(b|c)*d", "abcbd"));
  EXPECT_FALSE(whole("a(b|c)*d", "abcbdx"));
  EXPECT_TRUE(whole("[a-c\\d_-]{2,3}", "a-9"));
  EXPECT_FALSE(whole("[a-c\\d_-]{2,3}", "a"));
  EXPECT_TRUE(whole("[^\\s\"]+", "x9"));
  EXPECT_FALSE(whole("[^\\s\"]+", "x\"9"));
  EXPECT_TRUE(whole("(?:ab){2}?", "abab"));
  EXPECT_TRUE(whole("(?P<year>\\d{4})-\\d\\d", "2024-05"));
  EXPECT_TRUE(whole("\\x41\\u0042\\u{1F600}", "AB\xF0\x9F\x98\x80"));
  EXPECT_TRUE(whole("{}a{,x}", "{}a{,x}"));
  EXPECT_TRUE(whole("a{,2}", "aa"));
}

TEST(Pattern, CharactersAreUnicode) {
  EXPECT_TRUE(whole(".", "\xE4\xBD\xA0"));
  EXPECT_FALSE(whole("..", "\xE4\xBD\xA0"));
  EXPECT_FALSE(whole(".", "\n"));
  EXPECT_TRUE(whole("[\xE4\xB8\x80-\xE9\xBE\xA5]+", "\xE4\xBD\xA0\xE5\xA5\xBD"));
  EXPECT_TRUE(whole("\\p{Lu}\\p{L}*", "\xC3\x89t\xC3\xA9"));
  EXPECT_FALSE(whole("\\p{Lu}", "a"));
  for (const char* text : {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE4\xBD"}) {
    EXPECT_FALSE(whole("[^x]", text));
  }
}

TEST(Pattern, EveryCharacterOfARangeAndNoOther) {
  // Ranges that cross the lengths of UTF-8 and its cuts.
  constraint::ExpressionPool pool;
  const auto set = constraint::CodePoints::of(0x7E, 0x10405);
  const constraint::ExprId id = constraint::one_of(pool, set, Spelling::kPlain);
  for (char32_t c = 1; c < 0x11000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    if (c < 0x80) {
      text = {static_cast<char>(c)};
    } else if (c < 0x800) {
      text = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    } else if (c < 0x10000) {
      text = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
              static_cast<char>(0x80 | (c & 63))};
    } else {
      text = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
              static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
    }
    ASSERT_EQ(pool.matches(id, text), c >= 0x7E && c <= 0x10405) << static_cast<std::uint32_t>(c);
  }
}

TEST(Pattern, SearchAndAnchors) {
  EXPECT_TRUE(search("b+", "abbc"));
  EXPECT_FALSE(search("^b+", "abbc"));
  EXPECT_FALSE(search("b+$", "abbc"));
  EXPECT_TRUE(search("^a|c$", "xxc"));
  EXPECT_TRUE(search("^a|c$", "axx"));
  EXPECT_FALSE(search("^a|c$", "xax"));
  EXPECT_TRUE(search("(^|\\s)foo", "a foo"));
  EXPECT_TRUE(search("(^|\\s)foo", "foo"));
  EXPECT_FALSE(search("(^|\\s)foo", "afoo"));
  EXPECT_TRUE(search("^$", ""));
  EXPECT_FALSE(search("^$", "a"));
  EXPECT_TRUE(search("", "anything"));
  EXPECT_TRUE(search("(^a)?b", "xb"));
}

TEST(Pattern, LookAhead) {
  EXPECT_TRUE(search("^(?!foo)\\w+$", "bar"));
  EXPECT_FALSE(search("^(?!foo)\\w+$", "foobar"));
  EXPECT_TRUE(search("^(?=.*\\d)(?=.*[a-z]).{4,8}$", "ab1cd"));
  EXPECT_FALSE(search("^(?=.*\\d)(?=.*[a-z]).{4,8}$", "abcde"));
  EXPECT_TRUE(search("^a(?!b$)[bc]*$", "abb"));
  EXPECT_FALSE(search("^a(?!b$)[bc]*$", "ab"));
}

TEST(Pattern, DialectsDifferAndBothReadingsAreKnown) {
  const std::string arabic_digit = "\xD9\xA3";
  EXPECT_FALSE(search("^\\d$", arabic_digit));
  EXPECT_TRUE(search("^\\d$", arabic_digit, PatternReading::kWide));
  EXPECT_FALSE(search("^\\D$", arabic_digit));
  EXPECT_TRUE(search("^\\D$", arabic_digit, PatternReading::kWide));
}

TEST(Pattern, WhatIsNotSupportedIsRefusedByName) {
  EXPECT_NE(refused("(a)\\1").find("refers back"), std::string::npos);
  EXPECT_NE(refused("(?<=a)b").find("looks behind"), std::string::npos);
  EXPECT_NE(refused("\\bword").find("\\b"), std::string::npos);
  EXPECT_NE(refused("(?i)a").find("flag"), std::string::npos);
  EXPECT_NE(refused("[[:alpha:]]").find("POSIX"), std::string::npos);
  EXPECT_NE(refused("a++").find("possessive"), std::string::npos);
  EXPECT_NE(refused("a{200000}").find("100000"), std::string::npos);
  EXPECT_NE(refused("a^b").find("^"), std::string::npos);
  EXPECT_NE(refused("(a").find("without )"), std::string::npos);
  EXPECT_NE(refused("a)").find("without ("), std::string::npos);
  EXPECT_NE(refused("[z-a]").find("backwards"), std::string::npos);
  EXPECT_NE(refused("a(?!.*)").find("no text"), std::string::npos);
  EXPECT_NE(refused(std::string(300, '(') + std::string(300, ')')).find("deeper"),
            std::string::npos);
  EXPECT_EQ(refused("[\\w.+-]+@[\\w-]+\\.[a-z]{2,}"), "");
}

TEST(Pattern, NoPatternTakesMinutes) {
  std::string optional;
  for (int i = 0; i < 9000; ++i) optional += "a?";
  EXPECT_THROW(Matcher(AnswerFormat::pattern(optional)).accepts(std::string(300, 'a')), Error);
  optional.resize(1000);
  EXPECT_TRUE(Matcher(AnswerFormat::pattern(optional)).accepts(std::string(300, 'a')));
}

TEST(Pattern, ChoicesAreLiteral) {
  Matcher matcher(AnswerFormat::choice({"yes", "no", "not (sure)"}));
  EXPECT_TRUE(matcher.accepts("no"));
  EXPECT_TRUE(matcher.accepts("not (sure)"));
  EXPECT_FALSE(matcher.accepts("not"));
  EXPECT_NE(refusal(AnswerFormat::choice({})), "");
  EXPECT_NE(refusal(AnswerFormat::choice({"a", ""})), "");
}

}  // namespace
}  // namespace tigerbot::testing
