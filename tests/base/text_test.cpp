#include "base/text.h"

#include <gtest/gtest.h>

namespace tigerbot {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsSubstitutionsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("hidden_size", "hiddne_size"), 1u);
  EXPECT_EQ(edit_distance("ca", "abc"), 3u);
}

TEST(NearestName, FindsMisspellingsAndNothingElse) {
  const std::vector<std::string> names{"learning_rate", "rope_theta", "seed"};
  EXPECT_EQ(nearest_name("learning_rat", names), "learning_rate");
  EXPECT_EQ(nearest_name("ROPE_THETA", names), "rope_theta");
  EXPECT_EQ(nearest_name("sed", names), "seed");
  EXPECT_EQ(nearest_name("temperature", names), "");
  EXPECT_EQ(did_you_mean("sede", names), "; did you mean \"seed\"?");
  EXPECT_EQ(did_you_mean(std::string(1 << 20, 'x'), names), "");
}

TEST(Quote, ShowsAnyBytesOnOneLine) {
  EXPECT_EQ(quote("a\"b\n\x01\xFF\xE2\x82\xAC"), "\"a\\\"b\\n\\u0001\\xff\xE2\x82\xAC\"");
  EXPECT_LT(quote(std::string(5000, 'x')).size(), 70u);
}

TEST(Format, Numbers) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes((1ull << 20) - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16384.0 PiB");
  EXPECT_EQ(format_duration(3.21), "3.2s");
  EXPECT_EQ(format_duration(75.2), "1m 15s");
  EXPECT_EQ(format_duration(3725), "1h 02m");
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1234567), "1,234,567");
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(split("a//b", '/'), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", '/'), (std::vector<std::string_view>{""}));
  EXPECT_EQ(trim(" \t x y\n"), "x y");
  EXPECT_EQ(trim(" "), "");
}

}  // namespace
}  // namespace tigerbot
