#pragma once

#include <string>
#include <string_view>

namespace tigerbot::jinja {

/// The code points of UTF-8 text; each byte that is not valid becomes U+FFFD.
std::u32string code_points(std::string_view text);

void append_utf8(std::string& text, char32_t c);

std::string to_utf8(std::u32string_view text);

/// Python's str.isprintable() for one character.
bool is_printable(char32_t c);

/// Python's str.isspace() for one character.
bool is_space(char32_t c);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
/// Python's str.title(): the first letter of each word in title case, the rest in lower case.
std::string to_title(std::string_view text);
/// Python's str.capitalize().
std::string capitalize(std::string_view text);

/// Python's str.strip(characters), or of white space where `characters` is empty.
std::string strip(std::string_view text, std::string_view characters, bool left, bool right);

}  // namespace tigerbot::jinja
