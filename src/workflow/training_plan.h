#pragma once

#include <filesystem>

#include "base/json.h"
#include "workflow/recipe.h"

namespace tigerbot::workflow {

/// What a training stage takes: `parameters`, `memory` (of each device, where it is meant for
/// several), `steps`, `tokens`. `recipe` is the stage's own, in a file. The model's shape is the
/// stage's `shape`, or that of its model where it is there; with neither only the steps are known.
/// An Error if a key is wrong, or the model does not fit its devices.
Json plan_training(const Stage& stage, const std::filesystem::path& recipe);

}  // namespace tigerbot::workflow
