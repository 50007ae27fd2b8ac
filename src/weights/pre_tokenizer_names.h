#pragma once

#include <string>

#include "base/json.h"

namespace tigerbot {

/// The name that llama.cpp has (tokenizer.ggml.pre) for the pre-tokenizer of a tokenizer.json. A
/// pre-tokenizer that has no name is an Error that names `path`: a guess would give other ids.
std::string detect_pre_tokenizer(const Json& tokenizer_json, const std::string& path);

}  // namespace tigerbot
