#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tigerbot {

/// What the regular expressions and predicates of Hugging Face tokenizers say of each code point.
/// They stem from libraries of different Unicode versions (Oniguruma's 16, Rust's 17, and an older
/// table of punctuation), so the tables are our own, made by asking `tokenizers` for every code
/// point: tests/golden/unicode_classes.py.
enum class GeneralCategory : std::uint8_t {
  kUnassigned,
  kLu,
  kLl,
  kLt,
  kLm,
  kLo,
  kNd,
  kNl,
  kNo,
  kMn,
  kMc,
  kMe,
  kPc,
  kPd,
  kPs,
  kPe,
  kPi,
  kPf,
  kPo,
  kSm,
  kSc,
  kSk,
  kSo,
  kZs,
  kZl,
  kZp,
  kCc,
  kCf,
  kCo,
};

/// Bits of character_class().
namespace character {
inline constexpr std::uint8_t kLetter = 1;        ///< \p{L}
inline constexpr std::uint8_t kNumber = 2;        ///< \p{N}
inline constexpr std::uint8_t kSpace = 4;         ///< \s
inline constexpr std::uint8_t kNewline = 8;       ///< [\r\n]
inline constexpr std::uint8_t kNumeric = 16;      ///< Rust's char::is_numeric, of the Digits part
inline constexpr std::uint8_t kPunctuation = 32;  ///< the Punctuation and BertPreTokenizer parts
inline constexpr std::uint8_t kWord = 64;         ///< Rust's \w, of the Whitespace part
inline constexpr std::uint8_t kBloomStop = 128;   ///< what ends a word in BLOOM's pattern
}  // namespace character

/// Bits for every code point, in blocks of 64, which is what a last UTF-8 byte addresses.
class CharacterClasses {
 public:
  static const CharacterClasses& get();

  std::uint8_t operator[](char32_t code_point) const {
    return blocks_[(std::size_t{first_[code_point >> 6]} << 6) | (code_point & 63)];
  }
  GeneralCategory category(char32_t code_point) const;
  /// The same for a byte below 0x80.
  std::uint8_t ascii(unsigned char byte) const { return ascii_[byte]; }

 private:
  CharacterClasses();
  std::array<std::uint8_t, 128> ascii_{};
  std::array<std::uint16_t, 0x110000 / 64> first_{};
  std::vector<std::uint8_t> blocks_;
};

/// A code point and the bytes it took.
struct ValidCharacter {
  char32_t code_point;
  std::uint32_t length;
};

/// The character at text[position], which must start one; `text` must be valid UTF-8.
inline ValidCharacter decode_valid_utf8(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[position + i]));
  };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 31) << 6 | (byte(1) & 63), 2};
  if (first < 0xF0) return {(first & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63), 3};
  return {(first & 7) << 18 | (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | (byte(3) & 63), 4};
}

}  // namespace tigerbot
