#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace tigerbot {

/// What stands behind a name of tokenizer.ggml.pre, in the terms of tokenizer.json.
struct PreTokenizerForm {
  Json normalizer;  ///< null where there is none
  Json pre_tokenizer;
  bool ignore_merges = false;
};

/// The form behind a name ("smollm", "llama-bpe", "qwen2", "gpt-2", "bloom" and those that
/// llama.cpp treats the same). An unknown name is an Error that names `path`.
PreTokenizerForm pre_tokenizer_form(std::string_view pre, const std::string& path);

/// The name that llama.cpp has for the pre-tokenizer of a tokenizer.json. A pre-tokenizer that has
/// no name is an Error: a guess would give other ids.
std::string detect_pre_tokenizer(const Json& tokenizer_json, const std::string& path);

}  // namespace tigerbot
