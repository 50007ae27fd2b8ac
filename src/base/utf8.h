#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// UTF-8 as Unicode 15 section 3.9 defines it: no overlong forms, no surrogates, nothing past
/// U+10FFFF. Invalid bytes are grouped into maximal subparts, as Python's errors="replace" and
/// Rust's from_utf8_lossy do.
namespace tigerbot {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

struct Utf8Step {
  char32_t code_point;  ///< kReplacementCharacter where the bytes are invalid
  std::size_t length;   ///< bytes taken, at least 1
  bool valid;
};

namespace detail {
Utf8Step decode_utf8_multibyte(std::string_view text, std::size_t at);
}

/// The character that starts at byte `at` (which must be below text.size()).
inline Utf8Step decode_utf8(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {first, 1, true};
  return detail::decode_utf8_multibyte(text, at);
}

/// Appends the UTF-8 of `code_point`; a surrogate or a value past U+10FFFF appends U+FFFD.
void append_utf8(std::string& text, char32_t code_point);

/// The byte at which `text` stops being valid UTF-8, or npos.
std::size_t first_invalid_utf8(std::string_view text);

inline bool is_valid_utf8(std::string_view text) {
  return first_invalid_utf8(text) == std::string_view::npos;
}

/// `text` with each maximal invalid subpart replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

/// Length of the longest prefix of `text` that does not end in the middle of a character: what may
/// be shown of a stream whose next bytes may complete the last one. Invalid bytes count as whole.
std::size_t complete_utf8_prefix(std::string_view text);

/// Code points of `text`, invalid subparts as U+FFFD.
std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(std::u32string_view code_points);

}  // namespace tigerbot
