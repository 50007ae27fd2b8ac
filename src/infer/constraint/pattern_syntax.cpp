#include "infer/constraint/pattern_syntax.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "infer/constraint/character_classes.h"

namespace tigerbot::constraint {

namespace {

using Kind = PatternNode::Kind;

constexpr int kMaxDepth = 100;
constexpr std::size_t kMaxLength = 20'000;
constexpr char32_t kNone = 0xFFFFFFFF;

class Parser {
 public:
  Parser(std::string_view pattern, const std::string& where)
      : text_(decode_utf8(pattern)), pattern_(pattern), where_(where) {}

  PatternNode parse() {
    if (text_.size() > kMaxLength) error("is longer than 20000 characters");
    PatternNode node = alternatives(0);
    if (at_ < text_.size()) error("has a ) without (");
    return node;
  }

 private:
  template <typename... Args>
  [[noreturn]] void error(fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}: the pattern {} {}", where_, quote(pattern_, 60),
         fmt::format(format, std::forward<Args>(args)...));
  }

  char32_t peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : kNone;
  }
  bool take(char32_t c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool take(std::u32string_view word) {
    if (std::u32string_view(text_).substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  char32_t next(const char* what) {
    if (at_ >= text_.size()) error("ends within {}", what);
    return text_[at_++];
  }

  PatternNode alternatives(int depth) {
    if (depth > kMaxDepth) error("nests groups deeper than {} levels", kMaxDepth);
    std::vector<PatternNode> choices{sequence(depth)};
    while (take('|')) choices.push_back(sequence(depth));
    if (choices.size() == 1) return std::move(choices[0]);
    PatternNode node;
    node.kind = Kind::kEither;
    node.parts = std::move(choices);
    return node;
  }

  PatternNode sequence(int depth) {
    PatternNode node;
    while (at_ < text_.size() && peek() != '|' && peek() != ')') {
      node.parts.push_back(repeated(atom(depth)));
    }
    return node;
  }

  PatternNode repeated(PatternNode part) {
    std::int64_t min = 1, max = 1;
    if (take('*')) {
      min = 0, max = kUnlimited;
    } else if (take('+')) {
      max = kUnlimited;
    } else if (take('?')) {
      min = 0;
    } else if (peek() == '{' && counts(min, max)) {
      if (max != kUnlimited && max < min) error("repeats from {} to {}", min, max);
    } else {
      return part;
    }
    // Which of the ways to match is tried first makes no difference to what matches.
    if (!take('?') && peek() == '+') error("uses a possessive repetition, which is not supported");
    if (peek() == '*' || peek() == '+' || peek() == '?') error("repeats a repetition");
    if (part.kind == Kind::kStart || part.kind == Kind::kEnd) error("repeats an anchor");
    PatternNode node;
    node.kind = Kind::kRepeat;
    node.min = min;
    node.max = max;
    node.parts.push_back(std::move(part));
    return node;
  }

  /// {3}, {3,}, {3,5} and {,5} are counts; any other brace is a character.
  bool counts(std::int64_t& min, std::int64_t& max) {
    std::size_t at = at_ + 1;
    const auto number = [&](std::int64_t& value) {
      const std::size_t begin = at;
      value = 0;
      for (; at < text_.size() && text_[at] >= '0' && text_[at] <= '9'; ++at) {
        value = std::min<std::int64_t>(value * 10 + (text_[at] - '0'), kMaxRepetition + 1);
      }
      return at > begin;
    };
    std::int64_t low = 0, high = 0;
    const bool has_low = number(low);
    if (at < text_.size() && text_[at] == ',') {
      ++at;
      const bool has_high = number(high);
      if (!has_high) high = kUnlimited;
      if (!has_low && !has_high) return false;
    } else {
      if (!has_low) return false;
      high = low;
    }
    if (at >= text_.size() || text_[at] != '}') return false;
    if (low > kMaxRepetition || high > kMaxRepetition) {
      error("repeats more than {} times", kMaxRepetition);
    }
    min = low;
    max = high;
    at_ = at + 1;
    return true;
  }

  static PatternNode set(CharacterClass members) {
    PatternNode node;
    node.kind = Kind::kSet;
    node.narrow = std::move(members.narrow);
    node.wide = std::move(members.wide);
    return node;
  }
  static PatternNode anchor(Kind kind) {
    PatternNode node;
    node.kind = kind;
    return node;
  }

  PatternNode atom(int depth) {
    const char32_t c = next("");
    switch (c) {
      case '^':
        return anchor(Kind::kStart);
      case '$':
        return anchor(Kind::kEnd);
      case '.':
        return set(dot_class());
      case '[':
        return set(bracket());
      case '(':
        return group(depth);
      case '*':
      case '+':
      case '?':
        error("repeats nothing");
      case '\\':
        return escape();
      default:
        return set(exact_class(CodePoints::of(c, c)));
    }
  }

  PatternNode group(int depth) {
    Kind kind = Kind::kConcat;
    if (take(U"?:")) {
    } else if (take(U"?=")) {
      kind = Kind::kAhead;
    } else if (take(U"?!")) {
      kind = Kind::kNotAhead;
    } else if (peek() == '?' && peek(1) == '<' && (peek(2) == '=' || peek(2) == '!')) {
      error("looks behind, which is not supported");
    } else if (take(U"?P<") || take(U"?<")) {
      while (next("the name of a group") != '>') {
      }
    } else if (peek() == '?') {
      error("has a flag or group (?... that is not supported");
    }
    PatternNode inner = alternatives(depth + 1);
    if (!take(')')) error("has a ( without )");
    PatternNode node;
    node.kind = kind;
    node.parts.push_back(std::move(inner));
    return node;
  }

  PatternNode escape() {
    if (peek() == 'b' || peek() == 'B') error("uses \\b or \\B, which is not supported");
    if (peek() == 'A') return ++at_, anchor(Kind::kStart);
    if (peek() == 'Z' || peek() == 'z') return ++at_, anchor(Kind::kEnd);
    if (peek() == 'k' || (peek() >= '1' && peek() <= '9')) {
      error("refers back to a group, which is not supported");
    }
    return set(escaped_class());
  }

  /// What stands after a backslash, in a class or outside.
  CharacterClass escaped_class() {
    const char32_t c = next("an escape");
    switch (c) {
      case 'd':
        return digit_class();
      case 'D':
        return digit_class().negated();
      case 'w':
        return word_class();
      case 'W':
        return word_class().negated();
      case 's':
        return space_class();
      case 'S':
        return space_class().negated();
      case 'p':
      case 'P':
        return property(c == 'P');
      default:
        break;
    }
    const char32_t literal = escaped_character(c);
    return exact_class(CodePoints::of(literal, literal));
  }

  CharacterClass property(bool negated) {
    if (!take('{')) error("needs {{NAME}} after \\p");
    std::string name;
    for (char32_t c = next("\\p{...}"); c != '}'; c = next("\\p{...}")) append_utf8(name, c);
    const auto found = property_class(name);
    if (!found) error("uses \\p{{{}}}, which is not supported; general categories are", name);
    return negated ? found->negated() : *found;
  }

  char32_t hexadecimal(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const char32_t c = next("an escape");
      const bool digit = c >= '0' && c <= '9';
      const char32_t lower = c | 0x20;
      if (!digit && (lower < 'a' || lower > 'f')) error("has a malformed \\x or \\u");
      value = value * 16 + (digit ? c - '0' : lower - 'a' + 10);
    }
    return value;
  }

  char32_t escaped_character(char32_t c) {
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case '0':
        if (peek() >= '0' && peek() <= '9') error("has an octal escape; write \\x instead");
        return 0;
      case 'x':
        return hexadecimal(2);
      case 'c': {
        const char32_t letter = next("\\c") | 0x20;
        if (letter < 'a' || letter > 'z') error("has a malformed \\c");
        return letter - 'a' + 1;
      }
      case 'u':
        return unicode_escape();
      default:
        break;
    }
    const bool alphanumeric =
        (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80);
    if (alphanumeric) error("has an escape \\{} that is not known", static_cast<char>(c));
    return c;
  }

  char32_t unicode_escape() {
    if (take('{')) {
      char32_t value = 0;
      while (!take('}')) {
        value = value * 16 + hexadecimal(1);
        if (value > 0x10FFFF) error("has a \\u past the last character");
      }
      return value;
    }
    const char32_t first = hexadecimal(4);
    const bool is_high = first >= 0xD800 && first < 0xDC00;
    if (is_high && take(U"\\u")) {
      const char32_t second = hexadecimal(4);
      if (second < 0xDC00 || second > 0xDFFF) error("has half of a surrogate pair");
      return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    }
    if (first >= 0xD800 && first <= 0xDFFF) error("has half of a surrogate pair");
    return first;
  }

  CharacterClass bracket() {
    const bool negated = take('^');
    CharacterClass members;
    bool first = true;
    while (true) {
      const char32_t c = next("a class [...]");
      // Python takes a ] in the first place as a member, ECMA-262 as the end.
      if (c == ']' && first) error("has an empty class []; write \\] for the bracket itself");
      if (c == ']') break;
      first = false;
      if (c == '[' && (peek() == ':' || peek() == '.' || peek() == '=')) {
        error("has a POSIX class [:...:], which is not supported");
      }
      CharacterClass item = member(c);
      const bool single = item.narrow.ranges().size() == 1 &&
                          item.narrow.ranges()[0].first == item.narrow.ranges()[0].last;
      if (peek() == '-' && peek(1) != ']' && peek(1) != kNone) {
        ++at_;
        const char32_t low = single ? item.narrow.ranges()[0].first : kNone;
        item = member(next("a class [...]"));
        const auto& ranges = item.narrow.ranges();
        if (low == kNone || ranges.size() != 1 || ranges[0].first != ranges[0].last) {
          error("has a range in [...] whose ends are not single characters");
        }
        if (ranges[0].first < low) error("has a range in [...] that runs backwards");
        item = exact_class(CodePoints::of(low, ranges[0].first));
      }
      members.add(item);
    }
    return negated ? members.negated() : members;
  }

  CharacterClass member(char32_t c) {
    if (c != '\\') return exact_class(CodePoints::of(c, c));
    if (take('b')) return exact_class(CodePoints::of('\b', '\b'));
    return escaped_class();
  }

  std::u32string text_;
  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
};

}  // namespace

bool PatternNode::has_assertion() const {
  if (kind == Kind::kStart || kind == Kind::kEnd || kind == Kind::kAhead ||
      kind == Kind::kNotAhead) {
    return true;
  }
  return std::any_of(parts.begin(), parts.end(),
                     [](const PatternNode& part) { return part.has_assertion(); });
}

PatternNode parse_pattern(std::string_view pattern, const std::string& where) {
  if (!is_valid_utf8(pattern)) fail("{}: the pattern is not valid UTF-8", where);
  return Parser(pattern, where).parse();
}

}  // namespace tigerbot::constraint
