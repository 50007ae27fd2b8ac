#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "infer/constraint/grammar.h"

namespace tigerbot {

/// What an answer has to be.
struct AnswerFormat {
  enum class Kind {
    kJsonObject,  ///< any JSON object
    kJsonSchema,  ///< JSON that meets `text`, a schema
    kPattern,     ///< text that matches `text`, a regular expression, as a whole
    kChoice,      ///< one of `choices`
  };
  Kind kind = Kind::kJsonObject;
  std::string text;
  std::vector<std::string> choices;

  static AnswerFormat json_object() { return {}; }
  static AnswerFormat json_schema(std::string schema) {
    return {Kind::kJsonSchema, std::move(schema), {}};
  }
  static AnswerFormat pattern(std::string pattern) {
    return {Kind::kPattern, std::move(pattern), {}};
  }
  static AnswerFormat choice(std::vector<std::string> choices) {
    return {Kind::kChoice, "", std::move(choices)};
  }
};

/// An Error for a format that cannot be kept: see docs/structured-output.md.
constraint::Grammar compile_format(const AnswerFormat& format);

}  // namespace tigerbot
