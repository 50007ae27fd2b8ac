#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>

#include "base/error.h"
#include "tokenizer/pattern.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

// Oniguruma's syntax, as rewritten for PCRE2. Most of it is the same; the differences are those of
// Oniguruma's RE document, checked by asking `tokenizers`.

namespace tigerbot {
namespace {

constexpr char32_t kCodePoints = 0x110000;

constexpr std::array<std::string_view, 29> kCategoryNames = {
    "",   "Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Mn", "Mc", "Me", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co"};

using Member = std::function<bool(char32_t)>;

bool is_surrogate(char32_t code_point) { return code_point >= 0xD800 && code_point < 0xE000; }

// The code points of a set as the ranges of a character class.
std::string ranges_of(const Member& member) {
  std::string ranges;
  for (char32_t first = 0; first < kCodePoints; ++first) {
    if (is_surrogate(first) || !member(first)) continue;
    char32_t last = first;
    while (last + 1 < kCodePoints && !is_surrogate(last + 1) && member(last + 1)) ++last;
    ranges += fmt::format("\\x{{{:x}}}", static_cast<std::uint32_t>(first));
    if (last > first) ranges += fmt::format("-\\x{{{:x}}}", static_cast<std::uint32_t>(last));
    first = last;
  }
  return ranges;
}

// Every code point in order, and where each begins.
struct AllCharacters {
  std::string text;
  std::vector<std::size_t> offsets;
  std::vector<char32_t> code_points;
  AllCharacters() {
    for (char32_t code_point = 0; code_point < kCodePoints; ++code_point) {
      if (is_surrogate(code_point)) continue;
      offsets.push_back(text.size());
      code_points.push_back(code_point);
      append_utf8(text, code_point);
    }
  }
};

// Whether PCRE2's own `property` has each code point.
std::vector<bool> members_in_pcre2(const std::string& property, const std::string& where) {
  static const AllCharacters all;
  const auto& [text, offsets, code_points] = all;
  const std::string pattern = property + "+";
  int error = 0;
  std::size_t error_offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP, &error, &error_offset, nullptr);
  if (code == nullptr) fail("{}: unknown property {}", where, property);
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  pcre2_match_data* data = pcre2_match_data_create_from_pattern(code, nullptr);
  std::vector<bool> members(kCodePoints);
  std::size_t position = 0;
  while (data != nullptr &&
         pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), position,
                     PCRE2_NO_UTF_CHECK, data, nullptr) > 0) {
    const std::size_t* found = pcre2_get_ovector_pointer(data);
    auto first = std::lower_bound(offsets.begin(), offsets.end(), found[0]) - offsets.begin();
    for (; static_cast<std::size_t>(first) < offsets.size() &&
           offsets[static_cast<std::size_t>(first)] < found[1];
         ++first) {
      members[code_points[static_cast<std::size_t>(first)]] = true;
    }
    position = found[1];
  }
  pcre2_match_data_free(data);
  pcre2_code_free(code);
  return members;
}

class Translation {
 public:
  Translation(const std::string& expression, const std::string& where)
      : source_(expression), where_(fmt::format("{}: pattern {}", where, expression)) {}

  std::string run() {
    while (!at_end()) {
      if (source_[position_] == '\\') {
        escape(false);
      } else if (source_[position_] == '[') {
        character_class(false);
      } else if (source_[position_] == '(') {
        group();
      } else if (source_[position_] == '{') {
        interval();
      } else {
        result_ += source_[position_++];
      }
    }
    return std::move(result_);
  }

 private:
  bool at_end() const { return position_ >= source_.size(); }
  char peek(std::size_t ahead = 0) const {
    return position_ + ahead < source_.size() ? source_[position_ + ahead] : '\0';
  }
  [[noreturn]] void unsupported(std::string_view what) const {
    fail("{}: {} is not supported", where_, what);
  }

  void group() {
    for (const std::string_view plain : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (std::string_view(source_).substr(position_).starts_with(plain)) {
        result_ += plain;
        position_ += plain.size();
        return;
      }
    }
    if (peek(1) != '?') {
      result_ += '(';
      ++position_;
      return;
    }
    // Flags: i is the same, m lets the dot match newlines, x allows comments.
    std::size_t i = 2;
    std::string flags;
    for (; peek(i) == 'i' || peek(i) == 'm' || peek(i) == 'x' || peek(i) == '-'; ++i) {
      flags += peek(i) == 'm' ? 's' : peek(i);
    }
    if (flags.empty() || (peek(i) != ':' && peek(i) != ')')) unsupported("a group of this kind");
    // In Oniguruma a lone flag reaches over the alternatives that follow, up to the group's end.
    if (peek(i) == ')' && position_ != 0) unsupported("a flag in the middle");
    result_ += "(?" + flags + peek(i);
    position_ += i + 1;
  }

  // {n}, {n,}, {n,m} and Oniguruma's {,m}; a brace that begins none is itself.
  void interval() {
    std::size_t i = 1;
    std::string low, high;
    bool comma = false;
    for (; peek(i) >= '0' && peek(i) <= '9'; ++i) low += peek(i);
    if (peek(i) == ',') {
      comma = true;
      for (++i; peek(i) >= '0' && peek(i) <= '9'; ++i) high += peek(i);
    }
    if (peek(i) != '}' || (low.empty() && high.empty())) {
      result_ += "\\{";
      ++position_;
      return;
    }
    if (peek(i + 1) == '+') unsupported("+ after an interval");
    if (peek(i + 1) == '?' && !comma) unsupported("? after {n}");
    result_ += "{" + (low.empty() ? "0" : low) + (comma ? "," : "") + high + "}";
    position_ += i + 1;
  }

  // The set in brackets; `inside`: without its own brackets, for the set around it.
  void character_class(bool inside) {
    if (++depth_ > 16) unsupported("classes nested so deep");
    ++position_;
    const bool negated = peek() == '^';
    if (negated && inside) unsupported("a negated class in a class");
    if (!inside) result_ += negated ? "[^" : "[";
    if (negated) ++position_;
    bool is_first = true;
    while (true) {
      if (at_end()) fail("{}: a class has no end", where_);
      const char c = peek();
      if (c == ']' && !is_first) break;
      is_first = false;
      if (c == '\\') {
        escape(true);
      } else if (c == '[') {
        if (peek(1) == ':') unsupported("a POSIX bracket");
        character_class(true);
      } else if (c == '&' && peek(1) == '&') {
        unsupported("an intersection of classes");
      } else if (c == ']') {
        result_ += "\\]";
        ++position_;
      } else {
        result_ += c;
        ++position_;
      }
    }
    ++position_;
    if (!inside) result_ += ']';
    --depth_;
  }

  void literal(std::uint32_t code_point) {
    if (code_point >= kCodePoints || is_surrogate(code_point)) unsupported("this code point");
    result_ += fmt::format("\\x{{{:x}}}", code_point);
  }

  std::uint32_t hexadecimal(std::size_t digits) {
    std::uint32_t value = 0;
    std::size_t count = 0;
    for (; count < digits && std::isxdigit(static_cast<unsigned char>(peek())); ++count) {
      value =
          value * 16 + static_cast<std::uint32_t>(std::stoi(std::string(1, peek()), nullptr, 16));
      ++position_;
    }
    if (count == 0) fail("{}: hexadecimal digits are missing", where_);
    return value;
  }

  // A set of code points; `items`: what stands for it between brackets.
  void set(const std::string& items, const std::function<std::string()>& complement, bool negated,
           bool in_class) {
    if (in_class) {
      result_ += negated ? complement() : items;
    } else {
      result_ += (negated ? "[^" : "[") + items + "]";
    }
  }
  void set(const Member& member, bool negated, bool in_class) {
    set(
        ranges_of(member), [&] { return ranges_of(std::not_fn(member)); }, negated, in_class);
  }

  static bool has(char32_t code_point, std::uint8_t bits) {
    return (CharacterClasses::get()[code_point] & bits) != 0;
  }
  // Oniguruma's \w: Rust's, but for the joiners and with superscripts and fractions.
  static bool is_word(char32_t code_point) {
    if (code_point == 0x200C || code_point == 0x200D) return false;
    constexpr std::u32string_view kMore = U"²³¹¼½¾";
    return has(code_point, character::kWord) || kMore.find(code_point) != std::u32string_view::npos;
  }

  void escape(bool in_class) {
    ++position_;
    if (at_end()) fail("{}: ends in a backslash", where_);
    const char c = peek();
    ++position_;
    switch (c) {
      case 's':
      case 'S':
        return set([](char32_t p) { return has(p, character::kSpace); }, c == 'S', in_class);
      case 'd':
      case 'D':
        return property("Nd", c == 'D', in_class);
      case 'w':
      case 'W':
        return set(is_word, c == 'W', in_class);
      case 'h':
      case 'H':
        return set([](char32_t p) { return p < 0x80 && std::isxdigit(static_cast<int>(p)); },
                   c == 'H', in_class);
      case 'p':
      case 'P':
        return named_property(c == 'P', in_class);
      case 'v':
        return literal(0x0B);
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        result_ += '\\';
        result_ += c;
        return;
      case 'x':
        if (peek() == '{') {
          ++position_;
          literal(hexadecimal(8));
          if (peek() != '}') fail("{}: \\x{{ has no end", where_);
          ++position_;
          return;
        }
        return literal(ascii(hexadecimal(2)));
      case 'u':
        return literal(hexadecimal(4));
      case 'b':
      case 'B': {
        if (in_class) return literal(0x08);
        const std::string word = "[" + ranges_of(is_word) + "]";
        result_ += c == 'b' ? fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word)
                            : fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word);
        return;
      }
      case 'A':
      case 'z':
      case 'Z':
        if (in_class) unsupported("an anchor in a class");
        result_ += '\\';
        result_ += c;
        return;
      default:
        break;
    }
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) {
      result_ += '\\';
      result_ += c;
      return;
    }
    if (static_cast<unsigned char>(c) >= 0x80) {
      result_ += c;
      return;
    }
    unsupported(fmt::format("\\{}", c));
  }

  std::uint32_t ascii(std::uint32_t byte) const {
    if (byte >= 0x80) unsupported("\\x80 to \\xFF (bytes of a character)");
    return byte;
  }

  void named_property(bool negated, bool in_class) {
    const std::size_t end = source_.find('}', position_);
    if (peek() != '{' || end == std::string::npos) unsupported("\\p without braces");
    std::string name = source_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    property(name, negated, in_class);
  }

  // PCRE2's Unicode is older than Oniguruma's: what it lacks is listed beside the property.
  void property(const std::string& name, bool negated, bool in_class) {
    std::array<bool, kCategoryNames.size()> wanted{};
    bool is_category = false;
    for (std::size_t i = 1; i < kCategoryNames.size(); ++i) {
      wanted[i] = !name.empty() && (name == kCategoryNames[i] ||
                                    (name.size() == 1 && kCategoryNames[i][0] == name[0]));
      is_category = is_category || wanted[i];
    }
    const bool other = name == "C" || name == "Cn";
    if (!is_category || other) {
      const bool is_script = name == "Han" || name == "Hiragana" || name == "Katakana" ||
                             name == "Hangul" || name == "Latin" || name == "Cyrillic" ||
                             name == "Greek" || name == "Arabic" || name == "Hebrew" ||
                             name == "Thai" || name == "Devanagari";
      if (!is_script) unsupported(fmt::format("the property \"{}\"", name));
      result_ += (negated ? "\\P{" : "\\p{") + name + "}";
      return;
    }
    const CharacterClasses& classes = CharacterClasses::get();
    std::vector<bool> ours(kCodePoints);
    for (char32_t p = 0; p < kCodePoints; ++p) {
      ours[p] = wanted[static_cast<std::size_t>(classes.category(p))];
    }
    const auto [found, is_new] = pcre2_members_.try_emplace(name);
    if (is_new) found->second = members_in_pcre2("\\p{" + name + "}", where_);
    const std::vector<bool>& theirs = found->second;
    bool surplus = false;
    for (char32_t p = 0; p < kCodePoints; ++p)
      surplus = surplus || (theirs[p] && !ours[p] && !is_surrogate(p));
    const Member member = [&](char32_t p) { return ours[p]; };
    const std::string items =
        surplus
            ? ranges_of(member)
            : "\\p{" + name + "}" + ranges_of([&](char32_t p) { return ours[p] && !theirs[p]; });
    set(
        items, [&] { return ranges_of(std::not_fn(member)); }, negated, in_class);
  }

  const std::string& source_;
  std::string where_;
  std::string result_;
  std::size_t position_ = 0;
  int depth_ = 0;
  std::map<std::string, std::vector<bool>> pcre2_members_;  // by property, for it takes a while
};

}  // namespace

std::string translate_oniguruma(const std::string& expression, const std::string& where) {
  return Translation(expression, where).run();
}

}  // namespace tigerbot
