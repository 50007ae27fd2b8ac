#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "workflow/recipe.h"
#include "workflow/run.h"

namespace tigerbot::workflow {

/// Whether arguments are a command of this program with options that it has; "" or what is wrong.
using CommandCheck = std::function<std::string(const std::vector<std::string>& arguments)>;

/// Checks a recipe to the last key and says what would run, why, and what training would take.
/// Nothing is run or written. Models and files of stages that are not made yet may be missing; a
/// stage's `shape` stands for its model.
Json plan(const Recipe& recipe, const RunOptions& options, const CommandCheck& check);

/// The same for people.
std::string plan_text(const Json& plan);

}  // namespace tigerbot::workflow
