#include "tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace tigerbot {
namespace {

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct MatchContextDeleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct JitStackDeleter {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

std::string message_of(int code) {
  unsigned char buffer[256];
  const int length = pcre2_get_error_message(code, buffer, sizeof buffer);
  return length > 0
             ? std::string(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(length))
             : std::to_string(code);
}

}  // namespace

struct Pattern::Code {
  pcre2_code* code = nullptr;
  std::string expression, where;
  ~Code() { pcre2_code_free(code); }
};

Pattern::Pattern(const std::string& expression, const std::string& where)
    : code_(std::make_unique<Code>()) {
  const std::string translated = translate_oniguruma(expression, where);
  int error = 0;
  std::size_t offset = 0;
  code_->expression = expression;
  code_->where = where;
  // The newline of ^ and $ is \n, and they match at every line, as in Oniguruma.
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  if (context != nullptr) pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK, &error,
                              &offset, context);
  pcre2_compile_context_free(context);
  if (code_->code == nullptr) {
    fail("{}: the pattern {} is not a regular expression that we can use: {}", where, expression,
         message_of(error));
  }
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);  // without JIT it is only slower
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

std::vector<std::pair<std::size_t, std::size_t>> Pattern::find_all(std::string_view text) const {
  std::vector<std::pair<std::size_t, std::size_t>> matches;
  const std::unique_ptr<pcre2_match_data, MatchDataDeleter> data(
      pcre2_match_data_create_from_pattern(code_->code, nullptr));
  const std::unique_ptr<pcre2_match_context, MatchContextDeleter> context(
      pcre2_match_context_create(nullptr));
  std::unique_ptr<pcre2_jit_stack, JitStackDeleter> stack;
  if (!data || !context) throw std::bad_alloc();
  std::size_t position = 0;
  std::size_t last_end = std::string_view::npos;
  while (position <= text.size()) {
    const auto run = [&](std::uint32_t options) {
      return pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                         position, PCRE2_NO_UTF_CHECK | options, data.get(), context.get());
    };
    int result = run(0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && !stack) {
      stack.reset(pcre2_jit_stack_create(std::size_t{1} << 16, std::size_t{1} << 27, nullptr));
      if (!stack) throw std::bad_alloc();
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
      result = run(0);
    }
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) {
      fail("{}: the pattern {} gave up on a text of {} bytes: {}", code_->where, code_->expression,
           text.size(), message_of(result));
    }
    const std::size_t* offsets = pcre2_get_ovector_pointer(data.get());
    const std::size_t begin = offsets[0], end = offsets[1];
    if (begin > end) fail("{}: \\K inside a lookahead is not supported", code_->where);
    // An empty match where the last match ended does not count; the search goes on a character on.
    if (begin == end && end == last_end) {
      if (position >= text.size()) break;
      position += utf8_length(static_cast<unsigned char>(text[position]));
      last_end = std::string_view::npos;
      continue;
    }
    matches.emplace_back(begin, end);
    last_end = end;
    position = end;
    if (begin == end) {
      if (position >= text.size()) break;
      position += utf8_length(static_cast<unsigned char>(text[position]));
      last_end = std::string_view::npos;
    }
  }
  return matches;
}

}  // namespace tigerbot
