#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// The form of a text in which duplicates are equal: what a reader would not call a difference is
/// gone. Compatibility forms (full-width letters, half-width kana), case and runs of white space
/// fold together (Unicode's NFKC_Casefold, character by character, so that text keeps its order);
/// control and format characters vanish. Code units are UTF-16.
namespace tigerbot::data {

/// The folded text in `folded` (its old content is replaced), single spaces, none at the ends.
/// `text` is valid UTF-8; invalid bytes are skipped.
void fold_text(std::string_view text, std::u16string& folded);
std::u16string fold_text(std::string_view text);

/// What one code point folds to: 0 where it vanishes, ' ' for white space.
char32_t fold_character(char32_t character);
/// A letter, digit or mark (of a folded character).
bool is_folded_letter(char32_t folded);

/// The letters, digits and marks of a folded text, in `letters`: no space, punctuation or symbol.
void keep_letters(std::u16string_view folded, std::u16string& letters);
std::u16string letters_of(std::string_view text);

/// Ideographs, kana and Hangul, which carry more than a letter of an alphabet. (Halves of
/// characters past U+FFFF count too.)
inline bool is_wide(char16_t unit) {
  return unit >= 0x1100 && (unit < 0x1200 || (unit >= 0x2E80 && unit < 0xA4D0) ||
                            (unit >= 0xAC00 && unit < 0xE000) || (unit >= 0xF900 && unit < 0xFB00));
}

/// How much a unit carries: three wide ones as much as eight letters.
inline int letter_weight(char16_t unit) { return is_wide(unit) ? 8 : 3; }

}  // namespace tigerbot::data
