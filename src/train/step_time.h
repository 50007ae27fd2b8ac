#pragma once

#include <optional>

#include "train/objective.h"
#include "train/recipe.h"
#include "train/run_parts.h"

namespace tigerbot::train {

/// Seconds that a step over this batch takes on this machine. Measured, in a few seconds: a forward
/// pass, a backward pass and an update on the batch's first micro-batch, of models of the run's own
/// shape with one layer and with a few more; the difference gives the time of the other layers.
///
/// Nothing where such a model does not fit into memory, or where the recipe names parameters that
/// its first layers do not have.
std::optional<double> measure_step_seconds(const Recipe& recipe, const ModelParts& parts,
                                           Objective& objective, const StepBatch& batch);

}  // namespace tigerbot::train
