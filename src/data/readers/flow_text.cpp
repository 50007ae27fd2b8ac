#include "data/readers/flow_text.h"

#include "base/utf8.h"

namespace tigerbot::data {
namespace {

/// Characters of scripts that put no space between words, and their punctuation. Not Korean.
bool joins_without_space(char32_t c) {
  return (c >= 0x3001 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFF00 && c <= 0xFFEF) ||
         (c >= 0x20000 && c <= 0x3FFFF);
}

bool is_space(char32_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == 0xA0;
}

}  // namespace

std::string flow_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool space = false, line_end = false, line_break = false;
  char32_t before = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    const char32_t c = step.code_point;
    if (is_space(c)) {
      space = true;
      line_end = line_end || c == '\n';
    } else if (c == static_cast<char32_t>(kLineBreak)) {
      line_break = true;
    } else if (c == 0x200B || c == 0xFEFF || c == 0xAD) {
      // Zero-width spaces and soft hyphens lay out lines that are no more.
    } else {
      if (!out.empty() && line_break)
        out += '\n';
      else if (!out.empty() && space &&
               !(line_end && joins_without_space(before) && joins_without_space(c)))
        out += ' ';
      space = line_end = line_break = false;
      out += text.substr(at, step.length);
      before = c;
    }
    at += step.length;
  }
  return out;
}

}  // namespace tigerbot::data
