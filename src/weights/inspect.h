#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"

namespace tigerbot {

/// What is in a model directory, a .gguf file or a single .safetensors file: format, architecture,
/// parameters, types, bytes, tokenizer, template and every tensor, as JSON. Weights are not read.
Json inspect_path(const std::filesystem::path& path);

/// The same for people; `tensors` adds one line for each tensor.
std::string format_inspection(const Json& inspection, bool tensors);

}  // namespace tigerbot
