#pragma once

#include "model/config.h"
#include "train/cost.h"
#include "train/recipe.h"

namespace tigerbot::train {

/// What a recipe asks of the machine for a model of this shape. The same checks as training makes
/// (names of trained parameters, target modules of adapters), on a model without memory.
RunShape make_run_shape(const Recipe& recipe, const ModelConfig& config, at::ScalarType dtype);

}  // namespace tigerbot::train
