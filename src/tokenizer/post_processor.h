#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// What stands around the ids of a text: beginning and end of sequence, [CLS], [SEP].
struct PostProcessor {
  std::vector<TokenId> before, after;

  /// The `post_processor` node of tokenizer.json, for a single text. `where` names the file and
  /// the node in errors.
  static PostProcessor from_json(const nlohmann::json& node, const std::string& where);
};

}  // namespace tigerbot
