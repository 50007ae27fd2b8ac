#pragma once

#include <string_view>

#include "tokenizer/jinja/syntax_tree.h"

namespace tigerbot::jinja {

/// The statements of a template. What the language has and chat templates don't (include, import,
/// inheritance) is an error that names it and its line, and so is nesting without end.
Block parse(std::string_view source);

}  // namespace tigerbot::jinja
