#include "data/readers/json_repair.h"

#include <fmt/format.h>

#include <cctype>
#include <optional>

namespace tigerbot::data {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The value of the escape \uXXXX at `at`, if it is one.
std::optional<unsigned> unicode_escape(std::string_view text, std::size_t at) {
  const auto part = text.substr(at, 6);
  if (part.size() < 6 || !part.starts_with("\\u")) return std::nullopt;
  unsigned value = 0;
  for (const char c : part.substr(2)) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return std::nullopt;
    const int digit = is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
    value = value << 4 | static_cast<unsigned>(digit);
  }
  return value;
}

/// Copies one string, which begins at `at` with its quote, and returns where it ends.
std::size_t repair_string(std::string_view row, std::size_t at, std::string& out) {
  out += row[at++];
  while (at < row.size()) {
    const char c = row[at];
    if (c == '"') {
      out += c;
      return at + 1;
    }
    if (c == '\\') {
      const auto value = unicode_escape(row, at);
      if (!value) {
        out += row.substr(at, 2);
        at += 2;
        continue;
      }
      const bool high = *value >= 0xD800 && *value < 0xDC00;
      const bool low = *value >= 0xDC00 && *value < 0xE000;
      const auto next = high ? unicode_escape(row, at + 6) : std::nullopt;
      if (high && next && *next >= 0xDC00 && *next < 0xE000) {
        out += row.substr(at, 12);
        at += 12;
        continue;
      }
      if (high || low)
        out += "\\ufffd";
      else
        out += row.substr(at, 6);
      at += 6;
      continue;
    }
    if (c == '\0')
      out += ' ';
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
    ++at;
  }
  return at;
}

/// Copies a number or a word outside strings, and returns where it ends.
std::size_t repair_scalar(std::string_view row, std::size_t at, std::string& out) {
  std::size_t end = at;
  while (end < row.size() && (std::isalnum(static_cast<unsigned char>(row[end])) != 0 ||
                              row[end] == '+' || row[end] == '-' || row[end] == '.'))
    ++end;
  const auto word = row.substr(at, end - at);
  for (const std::string_view name : {"NaN", "Infinity", "-Infinity", "nan", "-nan", "inf", "-inf"})
    if (word == name) {
      out += "null";
      return end;
    }
  constexpr std::size_t kSafeDigits = 18;
  const auto digits = word.starts_with('-') ? word.substr(1) : word;
  bool integer = digits.size() > kSafeDigits;
  for (const char c : digits) integer = integer && is_digit(c);
  if (integer) {
    out += '"';
    out += word;
    out += '"';
  } else {
    out += word;
  }
  return end;
}

}  // namespace

std::string repair_json_row(std::string_view row) {
  std::string out;
  out.reserve(row.size() + 16);
  for (std::size_t at = 0; at < row.size();) {
    const char c = row[at];
    if (c == '"') {
      at = repair_string(row, at, out);
    } else if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-') {
      at = repair_scalar(row, at, out);
    } else {
      out += c == '\0' ? ' ' : c;
      ++at;
    }
  }
  return out;
}

}  // namespace tigerbot::data
