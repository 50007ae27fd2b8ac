#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

/// Placeholders in a recipe's texts: `{name}`, where a name is letters, digits, "-" and "_".
/// Braces around anything else are text; `{{` and `}}` stand for braces around a name.
namespace tigerbot::workflow {

/// What a name stands for; nothing leaves the placeholder as it is.
using LookUp = std::function<std::optional<Json>(const std::string& name)>;

/// `value` with the placeholders of every string in it filled in. A string that is nothing but a
/// placeholder becomes the value itself, of whatever type; elsewhere it becomes text.
Json fill_in(const Json& value, const LookUp& look_up);

/// The same for one text.
std::string fill_in_text(std::string_view text, const LookUp& look_up);

/// `{{name}}` becomes `{name}`: the last step, when nothing more is filled in.
Json without_escapes(const Json& value);

/// A placeholder and what stands behind it up to the end of the string: of "zh={data}/train-*",
/// "data" and "/train-*".
struct Reference {
  std::string name, rest;
};
std::vector<Reference> references(const Json& value);

}  // namespace tigerbot::workflow
