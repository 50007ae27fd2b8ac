#include "tokenizer/precompiled_charsmap.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "base/error.h"

namespace tigerbot {
namespace {

// A charsmap with one rule: "a" becomes what stands in `replacements` from byte `start`.
std::string charsmap_of_a(std::string_view replacements, std::uint32_t start) {
  std::array<std::uint32_t, 256> units{};
  units['a'] = 'a' | 1u << 8 | 0x80u << 10;  // a value hangs below, at 'a' ^ 0x80
  units['a' ^ 0x80] = 1u << 31 | start;
  const std::uint32_t size = sizeof(units);
  std::string blob(sizeof(size) + size, '\0');
  std::memcpy(blob.data(), &size, sizeof(size));
  std::memcpy(blob.data() + sizeof(size), units.data(), size);
  return blob.append(replacements);
}

std::string error_of(const std::string& blob) {
  try {
    PrecompiledCharsmap(blob, "t.model").longest_match("ab");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

constexpr std::string_view kTwoReplacements("x\0\xE8\xAF\xAD", 5);

TEST(PrecompiledCharsmap, ARuleGivesItsReplacement) {
  const PrecompiledCharsmap charsmap(charsmap_of_a(kTwoReplacements, 2), "t.model");
  EXPECT_EQ(charsmap.longest_match("ab").length, 1U);
  EXPECT_EQ(charsmap.longest_match("ab").replacement, "\xE8\xAF\xAD");
  EXPECT_EQ(charsmap.longest_match("ba").length, 0U);
}

TEST(PrecompiledCharsmap, NoRuleGivesHalfACharacter) {
  EXPECT_NE(error_of(charsmap_of_a(kTwoReplacements, 3)).find("where no character begins"),
            std::string::npos);
  EXPECT_NE(error_of(charsmap_of_a(kTwoReplacements, 1 << 20)).find("where no character begins"),
            std::string::npos);
  EXPECT_NE(error_of(charsmap_of_a("\xE8\xAF", 0)).find("no UTF-8"), std::string::npos);
}

}  // namespace
}  // namespace tigerbot
