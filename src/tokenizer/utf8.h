#pragma once

#include <cstdint>
#include <string_view>

#include "base/utf8.h"

namespace tigerbot {

/// One code point read from UTF-8.
struct DecodedChar {
  char32_t code_point;
  std::uint8_t length;  ///< bytes it took; 1 where the bytes are ill-formed
  bool valid;
};

/// Reads the code point at `text[position]`, which must be inside `text`. Ill-formed bytes
/// (overlong, surrogates, above U+10FFFF, cut short) give U+FFFD, length 1, not valid.
inline DecodedChar next_code_point(std::string_view text, std::size_t position) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data()) + position;
  const std::size_t left = text.size() - position;
  const unsigned char lead = bytes[0];
  if (lead < 0x80) return {lead, 1, true};
  const auto continues = [&](std::size_t i) { return (bytes[i] & 0xC0) == 0x80; };
  if (lead >= 0xC2 && lead < 0xE0) {
    if (left >= 2 && continues(1)) {
      return {char32_t(lead & 0x1F) << 6 | char32_t(bytes[1] & 0x3F), 2, true};
    }
  } else if (lead >= 0xE0 && lead < 0xF0) {
    if (left >= 3 && continues(1) && continues(2)) {
      const char32_t code_point =
          char32_t(lead & 0x0F) << 12 | char32_t(bytes[1] & 0x3F) << 6 | char32_t(bytes[2] & 0x3F);
      if (code_point >= 0x800 && (code_point < 0xD800 || code_point > 0xDFFF)) {
        return {code_point, 3, true};
      }
    }
  } else if (lead >= 0xF0 && lead < 0xF5) {
    if (left >= 4 && continues(1) && continues(2) && continues(3)) {
      const char32_t code_point = char32_t(lead & 0x07) << 18 | char32_t(bytes[1] & 0x3F) << 12 |
                                  char32_t(bytes[2] & 0x3F) << 6 | char32_t(bytes[3] & 0x3F);
      if (code_point >= 0x10000 && code_point <= 0x10FFFF) return {code_point, 4, true};
    }
  }
  return {0xFFFD, 1, false};
}

/// Bytes of the character that begins with `lead`, for text known to be well-formed.
inline std::size_t utf8_length(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

}  // namespace tigerbot
