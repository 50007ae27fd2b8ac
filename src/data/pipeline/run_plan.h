#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/pipeline/global_phase.h"
#include "data/pipeline/sampling.h"
#include "data/pipeline/work_folder.h"
#include "data/recipe.h"

/// What a finished run leaves in its work folder (plan.json) so that `data show` finds every
/// document and why it went or stayed.
namespace tigerbot::data {

/// What is written down.
struct RunPlanSources {
  const std::vector<Unit>&units, &earlier;
  const std::vector<GlobalStep>& steps;
  const std::vector<SourceBound>& bounds;
  std::uint64_t seed;
  double validation;
  const Recipe& recipe;
};
void write_run_plan(const WorkFolder& work, const RunPlanSources& sources);

/// What is read back. Units have a key and a source, and no pieces.
struct RunPlan {
  std::vector<Unit> units;    ///< of the run, then those of an earlier run
  std::size_t own_units = 0;  ///< how many are the run's
  std::vector<std::string> source_names;
  std::vector<GlobalStep> steps;
  std::vector<SourceBound> bounds;  ///< by source
  std::uint64_t seed = 0;
  double validation = 0;
};
RunPlan read_run_plan(const WorkFolder& work);

}  // namespace tigerbot::data
