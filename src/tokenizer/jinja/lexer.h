#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot::jinja {

struct Token {
  enum class Kind {
    kText,           ///< literal output
    kVariableBegin,  ///< {{
    kVariableEnd,    ///< }}
    kBlockBegin,     ///< {%
    kBlockEnd,       ///< %}
    kName,
    kInteger,
    kFloat,
    kString,
    kOperator,
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string text;
  int line = 1;
};

/// The tokens of a template with trim_blocks and lstrip_blocks on, as transformers renders chat
/// templates: a block's own line break and indentation are not output. Errors name the line.
std::vector<Token> tokenize(std::string_view source);

}  // namespace tigerbot::jinja
