#include "data/stages/personal_data.h"

#include <algorithm>
#include <array>
#include <optional>

namespace tigerbot::data {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_local_part(char c) {
  return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-';
}

int number(std::string_view digits) {
  int value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}

bool is_date(int year, int month, int day) {
  constexpr std::array<int, 12> kDays = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return year >= 1880 && year <= 2100 && month >= 1 && month <= 12 && day >= 1 &&
         day <= kDays[static_cast<std::size_t>(month - 1)];
}

struct Span {
  std::size_t begin, end;
};

/// The address around the @ at `at`.
std::optional<Span> email_at(std::string_view text, std::size_t at) {
  std::size_t begin = at, end = at + 1;
  while (begin > 0 && is_local_part(text[begin - 1]) && at - begin < 64) --begin;
  while (begin < at && (text[begin] == '.' || text[begin] == '-')) ++begin;
  while (end < text.size() &&
         (is_letter(text[end]) || is_digit(text[end]) || text[end] == '.' || text[end] == '-') &&
         end - at < 255)
    ++end;
  while (end > at + 1 && (text[end - 1] == '.' || text[end - 1] == '-')) --end;
  if (begin == at) return std::nullopt;
  const std::string_view domain = text.substr(at + 1, end - at - 1);
  const std::size_t dot = domain.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  const std::string_view top = domain.substr(dot + 1);
  if (top.size() < 2 || !std::all_of(top.begin(), top.end(), is_letter)) return std::nullopt;
  return Span{begin, end};
}

/// Digits with single separators between them (space, '-', '.', parentheses): what people write for
/// numbers. `groups` are the lengths between separators, "3-4-4".
struct DigitRun {
  std::size_t end = 0;
  std::string digits, groups;
  bool plus = false, x_at_end = false, separated = false;
};

DigitRun digits_at(std::string_view text, std::size_t begin) {
  DigitRun run;
  std::size_t at = begin, group = 0;
  if (text[at] == '+') {
    run.plus = true;
    ++at;
  } else if (text[at] == '(') {
    ++at;
  }
  const auto close_group = [&] {
    if (!run.groups.empty()) run.groups += '-';
    run.groups += std::to_string(group);
    group = 0;
  };
  run.end = at;
  while (at < text.size() && run.digits.size() < 24) {
    if (is_digit(text[at])) {
      run.digits += text[at++];
      ++group;
      run.end = at;
      continue;
    }
    if ((text[at] == 'X' || text[at] == 'x') && run.digits.size() == 17 && group == 17) {
      run.x_at_end = true;
      run.end = ++at;
      break;
    }
    // One separator, or ") " and ")-".
    std::size_t skip = 0;
    if (text[at] == ')' && group > 0 && group <= 4) ++skip;
    if (at + skip < text.size() &&
        (text[at + skip] == ' ' || text[at + skip] == '-' || text[at + skip] == '.'))
      ++skip;
    const std::size_t next = at + skip;
    if (skip == 0 || next >= text.size() || !is_digit(text[next]) || group == 0) break;
    close_group();
    run.separated = true;
    at = next;
  }
  close_group();
  return run;
}

bool is_one_of(std::string_view value, std::initializer_list<std::string_view> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool is_phone(const DigitRun& run, std::string_view text, std::size_t begin) {
  const std::string_view digits = run.digits, groups = run.groups;
  if (run.plus) return digits.size() >= 9 && digits.size() <= 15 && digits[0] != '0';
  // China: mobile numbers 1[3-9], whole or 3-4-4; fixed 0XX(X)-XXXXXXX(X); service 400-XXX-XXXX.
  if (digits.size() == 11 && digits[0] == '1' && digits[1] >= '3' &&
      is_one_of(groups, {"11", "3-4-4"}))
    return true;
  if (digits[0] == '0' && is_one_of(groups, {"3-8", "4-7", "4-8", "3-4-4", "4-4-4"})) return true;
  if ((digits.starts_with("400") || digits.starts_with("800")) &&
      is_one_of(groups, {"3-3-4", "3-4-3"}))
    return true;
  // Japan and Korea: 0X-XXXX-XXXX, 03-XXXX-XXXX, 0X0-XXXX-XXXX, 02-XXX-XXXX, 0XX-XXX-XXXX; whole
  // only for mobile prefixes.
  if (digits[0] == '0' &&
      is_one_of(groups, {"2-4-4", "2-3-4", "3-3-4", "4-2-4", "3-2-4", "5-1-4", "4-3-3"}))
    return true;
  if (digits.size() == 11 && groups == "11" &&
      (digits.starts_with("010") || digits.starts_with("090") || digits.starts_with("080") ||
       digits.starts_with("070")))
    return true;
  // US: (XXX) XXX-XXXX, XXX-XXX-XXXX.
  if (groups == "3-3-4" && digits[0] >= '2' && digits[3] >= '2') return true;
  if (groups == "1-3-3-4" && digits[0] == '1') return true;
  return text[begin] == '(' && groups == "3-3-4";
}

/// The words beside a Japanese My Number; twelve digits alone are too common.
bool has_my_number_words(std::string_view text, std::size_t begin) {
  const std::string_view before =
      text.substr(begin - std::min<std::size_t>(begin, 60), std::min<std::size_t>(begin, 60));
  return before.find("マイナンバー") != std::string_view::npos ||
         before.find("個人番号") != std::string_view::npos;
}

bool is_identity(const DigitRun& run, std::string_view text, std::size_t begin) {
  const std::string_view groups = run.groups;
  if (run.x_at_end) return is_chinese_identity_number(run.digits + "X");
  if (groups == "18") return is_chinese_identity_number(run.digits);
  if (groups == "6-7") return is_korean_resident_number(run.digits);
  if (groups == "3-2-4") return is_us_social_security_number(run.digits);
  if (groups == "12" || groups == "4-4-4")
    return is_japanese_my_number(run.digits) && has_my_number_words(text, begin);
  return false;
}

bool is_card(const DigitRun& run) {
  return is_one_of(run.groups, {"13", "14", "15", "16", "17", "18", "19", "4-4-4-4", "4-6-5",
                                "4-4-4-4-3", "6-13"}) &&
         is_bank_card_number(run.digits);
}

/// A character that ties a number to a longer word: "a123", "1.5", "v12".
bool ties(std::string_view text, std::size_t at) {
  const char c = text[at];
  return is_letter(c) || is_digit(c) || c == '_' || c == '/' || c == '#' || c == '=' || c == '.' ||
         c == '-' || c == '$';
}

}  // namespace

bool is_chinese_identity_number(std::string_view digits) {
  if (digits.size() != 18 || !std::all_of(digits.begin(), digits.end() - 1, is_digit)) return false;
  if (digits[0] < '1' || digits[0] > '8') return false;
  if (!is_date(number(digits.substr(6, 4)), number(digits.substr(10, 2)),
               number(digits.substr(12, 2))))
    return false;
  constexpr std::array<int, 17> kWeights = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
  int sum = 0;
  for (std::size_t k = 0; k < 17; ++k) sum += (digits[k] - '0') * kWeights[k];
  const char last = digits[17] == 'x' ? 'X' : digits[17];
  return "10X98765432"[sum % 11] == last;
}

bool is_korean_resident_number(std::string_view digits) {
  if (digits.size() != 13 || !std::all_of(digits.begin(), digits.end(), is_digit)) return false;
  const char century = digits[6];
  if (century < '1' || century > '8') return false;
  const int base =
      century == '1' || century == '2' || century == '5' || century == '6' ? 1900 : 2000;
  if (!is_date(base + number(digits.substr(0, 2)), number(digits.substr(2, 2)),
               number(digits.substr(4, 2))))
    return false;
  // Numbers given out since October 2020 have random digits in place of the check digit.
  if (base == 2000 && number(digits.substr(0, 4)) >= 2010) return true;
  int sum = 0;
  for (std::size_t k = 0; k < 12; ++k) sum += (digits[k] - '0') * static_cast<int>(k % 8 + 2);
  const int check = (11 - sum % 11) % 10;
  const bool foreigner = century >= '5';
  return digits[12] - '0' == (foreigner ? (check + 2) % 10 : check);
}

bool is_japanese_my_number(std::string_view digits) {
  if (digits.size() != 12 || !std::all_of(digits.begin(), digits.end(), is_digit)) return false;
  int sum = 0;
  for (std::size_t n = 1; n <= 11; ++n)
    sum += (digits[11 - n] - '0') * static_cast<int>(n <= 6 ? n + 1 : n - 5);
  const int rest = sum % 11;
  return digits[11] - '0' == (rest <= 1 ? 0 : 11 - rest);
}

bool is_us_social_security_number(std::string_view digits) {
  if (digits.size() != 9 || !std::all_of(digits.begin(), digits.end(), is_digit)) return false;
  const int area = number(digits.substr(0, 3));
  return area != 0 && area != 666 && area < 900 && number(digits.substr(3, 2)) != 0 &&
         number(digits.substr(5, 4)) != 0;
}

bool is_bank_card_number(std::string_view digits) {
  if (digits.size() < 13 || digits.size() > 19 ||
      !std::all_of(digits.begin(), digits.end(), is_digit))
    return false;
  const bool network =
      digits[0] == '4' || (digits[0] == '5' && digits[1] >= '1' && digits[1] <= '5') ||
      digits.starts_with("62") || digits.starts_with("34") || digits.starts_with("37") ||
      digits.starts_with("35") || digits.starts_with("6011") || digits.starts_with("65") ||
      (number(digits.substr(0, 4)) >= 2221 && number(digits.substr(0, 4)) <= 2720);
  if (!network) return false;
  int sum = 0;
  for (std::size_t k = 0; k < digits.size(); ++k) {
    int value = digits[digits.size() - 1 - k] - '0';
    if (k % 2 == 1) value = value * 2 > 9 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 == 0;
}

std::uint8_t mask_personal_data(std::string& text, std::uint8_t kinds) {
  const std::string_view view = text;
  std::string out;
  std::size_t copied = 0;
  std::uint8_t found = 0;
  const auto replace = [&](Span span, std::string_view by, PersonalData kind) {
    out += view.substr(copied, span.begin - copied);
    out += by;
    copied = span.end;
    found |= mask_bit(kind);
  };
  const auto wants = [&](PersonalData kind) { return (kinds & mask_bit(kind)) != 0; };
  for (std::size_t at = 0; at < view.size();) {
    const char c = view[at];
    if (c == '@' && wants(PersonalData::kEmail)) {
      const auto span = email_at(view, at);
      if (span && span->begin >= copied) {
        replace(*span, "[EMAIL]", PersonalData::kEmail);
        at = span->end;
        continue;
      }
    }
    const bool opens = (c == '+' || c == '(') && at + 1 < view.size() && is_digit(view[at + 1]);
    if (!is_digit(c) && !opens) {
      ++at;
      continue;
    }
    const DigitRun run = digits_at(view, at);
    const bool free = (at == 0 || !ties(view, at - 1)) &&
                      (run.end >= view.size() || !ties(view, run.end) ||
                       ((view[run.end] == '.' || view[run.end] == '-') &&
                        (run.end + 1 >= view.size() || !is_digit(view[run.end + 1]))));
    if (free && run.digits.size() >= 9) {
      const Span span{at, run.end};
      if (wants(PersonalData::kIdentity) && is_identity(run, view, at)) {
        replace(span, "[ID]", PersonalData::kIdentity);
      } else if (wants(PersonalData::kCard) && is_card(run)) {
        replace(span, "[CARD]", PersonalData::kCard);
      } else if (wants(PersonalData::kPhone) && is_phone(run, view, at)) {
        replace(span, "[PHONE]", PersonalData::kPhone);
      }
    }
    at = std::max(run.end, at + 1);
  }
  if (found == 0) return 0;
  out += view.substr(copied);
  text = std::move(out);
  return found;
}

}  // namespace tigerbot::data
