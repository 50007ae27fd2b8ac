#pragma once

#include "base/json.h"
#include "workflow/digest.h"
#include "workflow/recipe.h"

namespace tigerbot::workflow {

/// Writes report.html and report.json into the recipe's output: for every stage that is made what
/// it made, from what, with which settings and at what cost, with the stage's own pages inside.
/// Nothing outside the page is needed. Returns what report.json holds.
Json write_report(const Recipe& recipe, Digests& digests);

}  // namespace tigerbot::workflow
