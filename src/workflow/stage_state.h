#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "workflow/digest.h"
#include "workflow/recipe.h"

namespace tigerbot::workflow {

/// The record of a stage that was done; null if it never was.
Json read_record(const Recipe& recipe, const std::string& name);

/// Why a stage has to run, for people; "" if it is up to date. All that it needs must be made.
std::string reason_to_run(const Stage& stage, const Recipe& recipe, Digests& digests);

}  // namespace tigerbot::workflow
