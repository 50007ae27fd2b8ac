#include "tokenizer/jinja/text.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

namespace tigerbot::jinja {

std::u32string code_points(std::string_view text) {
  std::u32string result;
  result.reserve(text.size());
  const auto length = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < length;) {
    UChar32 c;
    U8_NEXT_OR_FFFD(text.data(), i, length, c);
    result.push_back(static_cast<char32_t>(c));
  }
  return result;
}

void append_utf8(std::string& text, char32_t c) {
  char buffer[U8_MAX_LENGTH];
  std::int32_t length = 0;
  UBool error = false;
  U8_APPEND(buffer, length, U8_MAX_LENGTH, static_cast<UChar32>(c), error);
  if (error) {
    text += "\xEF\xBF\xBD";
  } else {
    text.append(buffer, static_cast<std::size_t>(length));
  }
}

std::string to_utf8(std::u32string_view text) {
  std::string result;
  for (const char32_t c : text) append_utf8(result, c);
  return result;
}

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  switch (u_charType(static_cast<UChar32>(c))) {
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_SURROGATE:
    case U_PRIVATE_USE_CHAR:
    case U_UNASSIGNED:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_SPACE_SEPARATOR:
      return false;
    default:
      return true;
  }
}

bool is_space(char32_t c) {
  // Python counts the information separators U+001C to U+001F as white space; so does ICU's
  // u_isWhitespace, which in turn leaves out no-break spaces and next line.
  return u_isWhitespace(static_cast<UChar32>(c)) || c == 0x85 || c == 0xa0 || c == 0x2007 ||
         c == 0x202f;
}

std::string to_upper(std::string_view text) {
  std::string result;
  icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())))
      .toUpper(icu::Locale::getRoot())
      .toUTF8String(result);
  return result;
}

std::string to_lower(std::string_view text) {
  std::string result;
  icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())))
      .toLower(icu::Locale::getRoot())
      .toUTF8String(result);
  return result;
}

std::string to_title(std::string_view text) {
  std::string result;
  bool in_word = false;
  for (const char32_t c : code_points(text)) {
    const auto code = static_cast<UChar32>(c);
    const bool cased = u_hasBinaryProperty(code, UCHAR_CASED);
    append_utf8(result, static_cast<char32_t>(!cased    ? code
                                              : in_word ? u_tolower(code)
                                                        : u_totitle(code)));
    in_word = cased;
  }
  return result;
}

std::string capitalize(std::string_view text) {
  std::u32string characters = code_points(text);
  if (characters.empty()) return {};
  std::string result;
  append_utf8(result, static_cast<char32_t>(u_totitle(static_cast<UChar32>(characters.front()))));
  return result + to_lower(to_utf8(std::u32string_view(characters).substr(1)));
}

std::string strip(std::string_view text, std::string_view characters, bool left, bool right) {
  const std::u32string all = code_points(text);
  const std::u32string set = code_points(characters);
  const auto drops = [&](char32_t c) {
    return set.empty() ? is_space(c) : set.find(c) != std::u32string::npos;
  };
  std::size_t begin = 0;
  std::size_t end = all.size();
  if (left) {
    while (begin < end && drops(all[begin])) ++begin;
  }
  if (right) {
    while (end > begin && drops(all[end - 1])) --end;
  }
  return to_utf8(std::u32string_view(all).substr(begin, end - begin));
}

}  // namespace tigerbot::jinja
