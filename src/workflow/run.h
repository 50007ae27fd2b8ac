#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "workflow/recipe.h"

namespace tigerbot::workflow {

struct RunOptions {
  std::string from;               ///< this stage and all after it run again
  std::vector<std::string> only;  ///< these stages run, and no other
  bool serve = true;              ///< the server at the end
};

/// Runs the stages of a recipe that are not up to date, in order, and writes the report. A stage is
/// up to date if its settings, the results that it names and its other inputs are what they were,
/// and what it made is still as it made it.
///
/// The result is what report.json holds: for every stage what it made, from what and at what cost.
Json run(const Recipe& recipe, const RunOptions& options);

}  // namespace tigerbot::workflow
