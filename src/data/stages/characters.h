#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/utf8.h"

/// What the per-document stages need to know of a character, in one table that the hot loops index:
/// a class of 16 bits for each code point, built once from ICU's properties.
namespace tigerbot::data {

/// The scripts that tell languages apart; kCommon are digits, punctuation, symbols and marks.
enum class Script : std::uint8_t {
  kCommon,
  kLatin,
  kHan,
  kHiragana,
  kKatakana,
  kHangul,
  kCyrillic,
  kGreek,
  kArabic,
  kHebrew,
  kDevanagari,
  kThai,
  kOther,
  kCount,
};

/// The low four bits are the Script; the others are properties.
using CharacterClass = std::uint16_t;

inline constexpr CharacterClass kScriptMask = 0x000F;
inline constexpr CharacterClass kLetter = 0x0010;       ///< letters, syllables, ideographs, marks
inline constexpr CharacterClass kDigit = 0x0020;        ///< decimal digits of any script
inline constexpr CharacterClass kPunctuation = 0x0040;  ///< P*
inline constexpr CharacterClass kSymbol = 0x0080;       ///< S*, emoji among them
inline constexpr CharacterClass kSpace = 0x0100;        ///< white space, line ends among it
inline constexpr CharacterClass kUpper = 0x0200;        ///< Lu, Lt
inline constexpr CharacterClass kSentenceEnd = 0x0400;  ///< . ! ? and their sisters
inline constexpr CharacterClass kEmoji = 0x0800;        ///< shown as a picture by default
inline constexpr CharacterClass kClean = 0x1000;  ///< normalization has to look: see normalize
inline constexpr CharacterClass kCompose =
    0x2000;  ///< may change under NFC, or join what is before
inline constexpr CharacterClass kIdeographic = 0x4000;  ///< Han, kana: written without spaces

inline constexpr std::size_t kClassTableSize = 0x32400;  ///< past the last Han extension

/// The table of classes, kClassTableSize long.
const CharacterClass* character_classes();

inline CharacterClass class_of(const CharacterClass* classes, char32_t c) {
  return c < kClassTableSize ? classes[c] : CharacterClass{kClean};
}

inline Script script_of(CharacterClass c) { return static_cast<Script>(c & kScriptMask); }

/// Walks UTF-8: decodes the character at `at` and moves past it. Broken bytes give U+FFFD one by
/// one; never reads at `end` or beyond.
inline char32_t next_character(const unsigned char*& at, const unsigned char* end) {
  const unsigned char first = *at;
  if (first < 0x80) {
    ++at;
    return first;
  }
  const auto left = end - at;
  if (first >= 0xE0 && first < 0xF0 && left >= 3 && (at[1] & 0xC0) == 0x80 &&
      (at[2] & 0xC0) == 0x80) {
    const char32_t c = (first & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
    at += 3;
    return c;
  }
  if (first >= 0xC2 && first < 0xE0 && left >= 2 && (at[1] & 0xC0) == 0x80) {
    const char32_t c = (first & 0x1Fu) << 6 | (at[1] & 0x3Fu);
    at += 2;
    return c;
  }
  if (first >= 0xF0 && first < 0xF5 && left >= 4 && (at[1] & 0xC0) == 0x80 &&
      (at[2] & 0xC0) == 0x80 && (at[3] & 0xC0) == 0x80) {
    const char32_t c =
        (first & 0x07u) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu);
    at += 4;
    return c;
  }
  ++at;
  return kReplacementCharacter;
}

inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace tigerbot::data
