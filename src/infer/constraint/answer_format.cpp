#include "infer/constraint/answer_format.h"

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "infer/constraint/pattern.h"
#include "infer/constraint/schema_grammar.h"

namespace tigerbot {

namespace {

using constraint::Grammar;

Grammar pattern_grammar(const std::string& pattern) {
  Grammar grammar;
  grammar.root = constraint::pattern_expression(
      *grammar.pool, pattern, constraint::PatternMatch::kWhole, constraint::PatternReading::kNarrow,
      constraint::Spelling::kPlain, "regular expression");
  if (grammar.root == constraint::kNothing) {
    fail("regular expression: no text matches {}", quote(pattern, 60));
  }
  return grammar;
}

Grammar choice_grammar(const std::vector<std::string>& choices) {
  if (choices.empty()) fail("choices: at least one is needed");
  Grammar grammar;
  std::vector<constraint::ExprId> texts;
  for (const std::string& choice : choices) {
    if (choice.empty()) fail("choices: none may be empty");
    if (!is_valid_utf8(choice)) fail("choices: one is not valid UTF-8");
    texts.push_back(grammar.pool->literal(choice));
  }
  grammar.root = grammar.pool->either(texts);
  return grammar;
}

}  // namespace

Grammar compile_format(const AnswerFormat& format) {
  switch (format.kind) {
    case AnswerFormat::Kind::kJsonObject:
      return constraint::json_object_grammar();
    case AnswerFormat::Kind::kJsonSchema:
      return constraint::schema_grammar(format.text);
    case AnswerFormat::Kind::kPattern:
      return pattern_grammar(format.text);
    case AnswerFormat::Kind::kChoice:
      return choice_grammar(format.choices);
  }
  fail_internal("a format of answers that is not known");
}

}  // namespace tigerbot
