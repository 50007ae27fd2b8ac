#include "tokenizer/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace tigerbot::jinja {

namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (position_ < source_.size()) text();
    add(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void error(const std::string& what) const {
    fail("chat template: line {}: {}", line_, what);
  }

  void add(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), line_});
  }

  std::string_view rest() const { return source_.substr(position_); }

  void advance(std::size_t count) {
    line_ += static_cast<int>(
        std::count(source_.begin() + static_cast<std::ptrdiff_t>(position_),
                   source_.begin() + static_cast<std::ptrdiff_t>(position_ + count), '\n'));
    position_ += count;
  }

  /// Literal text up to the next tag, and the tag.
  void text() {
    std::size_t tag = position_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= source_.size()) {
        tag = std::string_view::npos;
        break;
      }
      const char next = source_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++tag;
    }
    const bool at_end = tag == std::string_view::npos;
    std::string literal(source_.substr(position_, at_end ? tag : tag - position_));
    if (at_end) {
      // The last line break of a template is not part of it.
      if (literal.ends_with('\n')) literal.pop_back();
      emit_text(literal);
      advance(source_.size() - position_);
      return;
    }
    const char kind = source_[tag + 1];
    const char control = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (control == '-') {
      while (!literal.empty() && is_blank(literal.back())) literal.pop_back();
    } else if (control != '+' && kind != '{') {
      strip_indentation(literal, tag);
    }
    emit_text(literal);
    advance(tag - position_ + 2);
    if (control == '-' || control == '+') advance(1);
    if (kind == '#') {
      comment();
    } else if (kind == '{') {
      add(Token::Kind::kVariableBegin, "{{");
      expression("}}");
    } else if (!raw()) {
      add(Token::Kind::kBlockBegin, "{%");
      expression("%}");
    }
  }

  void emit_text(const std::string& literal) {
    if (!literal.empty()) add(Token::Kind::kText, literal);
  }

  /// Blanks between the start of a line and a block tag are not output (lstrip_blocks).
  void strip_indentation(std::string& literal, std::size_t tag) const {
    std::size_t begin = tag;
    while (begin > position_ && (source_[begin - 1] == ' ' || source_[begin - 1] == '\t')) --begin;
    const bool starts_line = begin == 0 || source_[begin - 1] == '\n';
    if (starts_line) literal.resize(literal.size() - (tag - begin));
  }

  /// What follows the end of a tag: `-` takes all white space, a block's own line break goes
  /// (trim_blocks) unless it ends in `+`.
  void after_tag(char control, bool trims) {
    if (control == '-') {
      std::size_t count = 0;
      while (position_ + count < source_.size() && is_blank(source_[position_ + count])) ++count;
      advance(count);
    } else if (control != '+' && trims && position_ < source_.size() &&
               source_[position_] == '\n') {
      advance(1);
    }
  }

  void comment() {
    const std::size_t end = source_.find("#}", position_);
    if (end == std::string_view::npos) error("a comment is never closed: \"#}\" is missing");
    const char control = end > position_ ? source_[end - 1] : '\0';
    advance(end - position_ + 2);
    after_tag(control, true);
  }

  /// `{% raw %} ... {% endraw %}`, if the block tag here begins one.
  bool raw() {
    std::size_t p = position_;
    const auto skip_blanks = [&] {
      while (p < source_.size() && is_blank(source_[p])) ++p;
    };
    const auto accept = [&](std::string_view word) {
      if (!source_.substr(p).starts_with(word)) return false;
      p += word.size();
      return true;
    };
    skip_blanks();
    if (!accept("raw")) return false;
    skip_blanks();
    const char control = p < source_.size() ? source_[p] : '\0';
    if (control == '-' || control == '+') ++p;
    if (!accept("%}")) return false;
    advance(p - position_);
    after_tag(control, true);
    std::size_t tag = position_;
    while (true) {
      tag = source_.find("{%", tag);
      if (tag == std::string_view::npos)
        error("a raw block is never closed: {% endraw %} is missing");
      p = tag + 2;
      const char before = p < source_.size() ? source_[p] : '\0';
      if (before == '-' || before == '+') ++p;
      skip_blanks();
      if (accept("endraw")) {
        skip_blanks();
        const char after = p < source_.size() ? source_[p] : '\0';
        if (after == '-' || after == '+') ++p;
        if (accept("%}")) {
          std::string literal(source_.substr(position_, tag - position_));
          if (before == '-') {
            while (!literal.empty() && is_blank(literal.back())) literal.pop_back();
          } else if (before != '+') {
            strip_indentation(literal, tag);
          }
          emit_text(literal);
          advance(p - position_);
          after_tag(after, true);
          return true;
        }
      }
      tag += 2;
    }
  }

  void expression(std::string_view closing) {
    int depth = 0;  // of brackets: "}}" inside a dict literal does not end the tag
    while (true) {
      while (position_ < source_.size() && is_blank(source_[position_])) advance(1);
      if (position_ >= source_.size()) {
        error(fmt::format("a tag is never closed: \"{}\" is missing", closing));
      }
      const char c = source_[position_];
      if (depth == 0) {
        char control = '\0';
        std::string_view here = rest();
        if ((c == '-' || c == '+') && here.substr(1).starts_with(closing)) {
          control = c;
          here = here.substr(1);
        }
        if (here.starts_with(closing)) {
          const bool block = closing == "%}";
          add(block ? Token::Kind::kBlockEnd : Token::Kind::kVariableEnd, std::string(closing));
          advance(closing.size() + (control != '\0' ? 1 : 0));
          after_tag(control, block);
          return;
        }
      }
      if (is_name_start(c)) {
        name();
      } else if (is_digit(c)) {
        number();
      } else if (c == '"' || c == '\'') {
        string(c);
      } else {
        op(depth);
      }
    }
  }

  void name() {
    std::size_t end = position_;
    while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
    add(Token::Kind::kName, std::string(source_.substr(position_, end - position_)));
    advance(end - position_);
  }

  void number() {
    std::string digits;
    bool is_float = false;
    std::size_t p = position_;
    const auto take_digits = [&] {
      while (p < source_.size() && (is_digit(source_[p]) || source_[p] == '_')) {
        if (source_[p] != '_') digits += source_[p];
        ++p;
      }
    };
    take_digits();
    if (p + 1 < source_.size() && source_[p] == '.' && is_digit(source_[p + 1])) {
      is_float = true;
      digits += '.';
      ++p;
      take_digits();
    }
    if (p < source_.size() && (source_[p] == 'e' || source_[p] == 'E')) {
      std::size_t q = p + 1;
      if (q < source_.size() && (source_[q] == '+' || source_[q] == '-')) ++q;
      if (q < source_.size() && is_digit(source_[q])) {
        is_float = true;
        digits.append(source_.substr(p, q - p));
        p = q;
        take_digits();
      }
    }
    add(is_float ? Token::Kind::kFloat : Token::Kind::kInteger, digits);
    advance(p - position_);
  }

  void string(char quote) {
    std::string value;
    std::size_t p = position_ + 1;
    while (true) {
      if (p >= source_.size()) error("a string is never closed");
      const char c = source_[p++];
      if (c == quote) break;
      if (c != '\\') {
        value += c;
        continue;
      }
      if (p >= source_.size()) error("a string is never closed");
      p = escape(p, value);
    }
    add(Token::Kind::kString, value);
    advance(p - position_);
  }

  /// Reads the escape sequence whose letter is at `p` as Python does; gives the place after it.
  std::size_t escape(std::size_t p, std::string& value) const {
    const char c = source_[p++];
    static constexpr std::string_view kNames = "ntr\\'\"abfv";
    static constexpr std::string_view kValues = "\n\t\r\\'\"\a\b\f\v";
    if (const auto i = kNames.find(c); i != std::string_view::npos) {
      value += kValues[i];
      return p;
    }
    if (c == '\n') return p;
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
      value += '\\';
      value += c;
      return p;
    }
    std::uint32_t code = 0;
    for (int i = 0; i < digits; ++i, ++p) {
      const char d = p < source_.size() ? source_[p] : '\0';
      if (is_digit(d)) {
        code = code * 16 + static_cast<std::uint32_t>(d - '0');
      } else if ((d >= 'a' && d <= 'f') || (d >= 'A' && d <= 'F')) {
        code = code * 16 + static_cast<std::uint32_t>((d | 0x20) - 'a' + 10);
      } else {
        error(fmt::format("\\{} in a string needs {} hexadecimal digits", c, digits));
      }
    }
    append_code_point(value, code);
    return p;
  }

  static void append_code_point(std::string& value, std::uint32_t code) {
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) code = 0xfffd;
    if (code < 0x80) {
      value += static_cast<char>(code);
    } else if (code < 0x800) {
      value += static_cast<char>(0xc0 | (code >> 6));
      value += static_cast<char>(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      value += static_cast<char>(0xe0 | (code >> 12));
      value += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
      value += static_cast<char>(0x80 | (code & 0x3f));
    } else {
      value += static_cast<char>(0xf0 | (code >> 18));
      value += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
      value += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
      value += static_cast<char>(0x80 | (code & 0x3f));
    }
  }

  void op(int& depth) {
    static constexpr std::array<std::string_view, 6> kPairs = {"==", "!=", "<=", ">=", "//", "**"};
    for (const std::string_view pair : kPairs) {
      if (rest().starts_with(pair)) {
        add(Token::Kind::kOperator, std::string(pair));
        advance(2);
        return;
      }
    }
    const char c = source_[position_];
    static constexpr std::string_view kSingles = "+-*/%~<>=()[]{},.:|;";
    if (kSingles.find(c) == std::string_view::npos) {
      error(fmt::format("unexpected character '{}'", c));
    }
    if (c == '(' || c == '[' || c == '{') ++depth;
    if ((c == ')' || c == ']' || c == '}') && --depth < 0) error(fmt::format("unexpected '{}'", c));
    add(Token::Kind::kOperator, std::string(1, c));
    advance(1);
  }

  std::string_view source_;
  std::size_t position_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  // Python reads \r\n and \r as line ends too.
  std::string unified;
  if (source.find('\r') != std::string_view::npos) {
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (source[i] != '\r') {
        unified += source[i];
      } else if (i + 1 >= source.size() || source[i + 1] != '\n') {
        unified += '\n';
      }
    }
    source = unified;
  }
  return Lexer(source).run();
}

}  // namespace tigerbot::jinja
