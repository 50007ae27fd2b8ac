#include "data/dedup/folded_text.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

#include <array>
#include <memory>

#include "base/error.h"
#include "base/utf8.h"

namespace tigerbot::data {
namespace {

constexpr char32_t kUnits = 0x10000;

bool vanishes(char32_t c) {
  const int category = u_charType(static_cast<UChar32>(c));
  return category == U_CONTROL_CHAR || category == U_FORMAT_CHAR;
}

/// What one code point folds to: 0 where it vanishes, ' ' for white space.
char32_t fold_code_point(const UNormalizer2* fold, char32_t c) {
  const auto point = static_cast<UChar32>(c);
  if (u_isUWhiteSpace(point) != 0) return ' ';
  if (vanishes(c)) return 0;
  UChar from[2], to[32];
  int32_t length = 0;
  U16_APPEND_UNSAFE(from, length, point);
  UErrorCode status = U_ZERO_ERROR;
  const int32_t got = unorm2_normalize(fold, from, length, to, 32, &status);
  if (U_FAILURE(status) != 0) return c;
  if (got == 0) return 0;
  UChar32 first = 0;
  int32_t used = 0;
  U16_NEXT(to, used, got, first);
  // A character that unfolds into several (a ligature, a squared word) stays itself.
  if (used != got) return static_cast<char32_t>(u_foldCase(point, U_FOLD_CASE_DEFAULT));
  return u_isUWhiteSpace(first) != 0 ? U' ' : static_cast<char32_t>(first);
}

bool is_letter(char32_t c) {
  if (c >= 0xD800 && c < 0xE000) return true;  // half of a character past U+FFFF
  const auto point = static_cast<UChar32>(c);
  return u_isalnum(point) != 0 || (U_GET_GC_MASK(point) & U_GC_M_MASK) != 0;
}

struct Tables {
  std::array<char16_t, kUnits> folded;
  std::array<bool, kUnits> letter;
  const UNormalizer2* fold = nullptr;

  Tables() {
    UErrorCode status = U_ZERO_ERROR;
    fold = unorm2_getNFKCCasefoldInstance(&status);
    if (U_FAILURE(status) != 0) fail_internal("ICU has no NFKC_Casefold: its data is missing");
    for (char32_t c = 0; c < kUnits; ++c) {
      const bool surrogate = c >= 0xD800 && c < 0xE000;
      const char32_t to = surrogate ? c : fold_code_point(fold, c);
      folded[c] = static_cast<char16_t>(to < kUnits ? to : c);
      letter[c] = is_letter(c);
    }
  }
};

const Tables& tables() {
  static const auto instance = std::make_unique<const Tables>();
  return *instance;
}

}  // namespace

char32_t fold_character(char32_t character) {
  const Tables& table = tables();
  return character < kUnits ? table.folded[character] : fold_code_point(table.fold, character);
}

bool is_folded_letter(char32_t folded) {
  return folded < kUnits ? tables().letter[folded] : is_letter(folded);
}

void fold_text(std::string_view text, std::u16string& folded) {
  const Tables& table = tables();
  folded.resize(text.size() + 1);  // never more units than bytes
  char16_t* out = folded.data();
  const char16_t* const begin = out;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const std::size_t size = text.size();
  bool space = true;  // at the start, white space is dropped
  const auto put = [&](char16_t unit) {
    if (unit == u' ') {
      if (!space) *out++ = u' ';
      space = true;
    } else if (unit != 0) {
      *out++ = unit;
      space = false;
    }
  };
  for (std::size_t at = 0; at < size;) {
    const unsigned first = bytes[at];
    if (first < 0x80) {
      put(table.folded[first]);
      ++at;
    } else if (first >= 0xE0 && first < 0xF0 && at + 2 < size) {
      put(table.folded[(first & 0xFu) << 12 | (bytes[at + 1] & 0x3Fu) << 6 |
                       (bytes[at + 2] & 0x3Fu)]);
      at += 3;
    } else if (first >= 0xC0 && first < 0xE0 && at + 1 < size) {
      put(table.folded[(first & 0x1Fu) << 6 | (bytes[at + 1] & 0x3Fu)]);
      at += 2;
    } else {
      const Utf8Step step = decode_utf8(text, at);
      at += step.length;
      if (!step.valid) continue;
      const char32_t c = fold_code_point(table.fold, step.code_point);
      if (c < kUnits) {
        put(static_cast<char16_t>(c));
      } else {
        put(U16_LEAD(c));
        put(U16_TRAIL(c));
      }
    }
  }
  if (out != begin && out[-1] == u' ') --out;
  folded.resize(static_cast<std::size_t>(out - begin));
}

std::u16string fold_text(std::string_view text) {
  std::u16string folded;
  fold_text(text, folded);
  return folded;
}

void keep_letters(std::u16string_view folded, std::u16string& letters) {
  const Tables& table = tables();
  letters.resize(folded.size());
  char16_t* out = letters.data();
  for (const char16_t unit : folded) {
    *out = unit;
    out += table.letter[unit] ? 1 : 0;
  }
  letters.resize(static_cast<std::size_t>(out - letters.data()));
}

std::u16string letters_of(std::string_view text) {
  std::u16string letters;
  keep_letters(fold_text(text), letters);
  return letters;
}

}  // namespace tigerbot::data
