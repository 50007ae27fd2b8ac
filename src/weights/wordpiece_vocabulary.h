#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace tigerbot {

/// The tokenizer.json that says what BERT's vocab.txt (one piece a line) and tokenizer_config.json
/// (do_lower_case, strip_accents, tokenize_chinese_chars, the special tokens) mean. `path` names
/// vocab.txt in errors.
std::string wordpiece_tokenizer_json(std::string_view vocabulary, const std::string& path,
                                     const Json& tokenizer_config);

}  // namespace tigerbot
