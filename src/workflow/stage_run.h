#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "workflow/digest.h"
#include "workflow/places.h"
#include "workflow/recipe.h"
#include "workflow/stage_key.h"

namespace tigerbot::workflow {

/// Runs one stage, or goes on with one that was stopped, and puts its results in their place: all
/// of them, or none.
class StageRun {
 public:
  /// `log` takes every line that the stage says.
  StageRun(const Recipe& recipe, const Stage& stage, const StageKey& key, Digests& digests,
           std::function<void(std::string_view)> log);

  /// The record of what was done (stage.json). An Error if the stage failed, was stopped, or took
  /// more memory or disk than the recipe allows.
  Json run();

 private:
  void remove_stale_work();
  Json fill(const Json& value) const;
  void write_recipe();
  std::int64_t steps_of_budget(const Json& recipe);
  Json run_command();
  Json finish(const Json& cost);
  void check_disk();

  const Recipe& recipe_;
  const Stage& stage_;
  const StageKey& key_;
  Digests& digests_;
  std::function<void(std::string_view)> log_;
  Places places_;
  std::filesystem::path work_;
  std::uint64_t peak_disk_ = 0;
};

/// The arguments of a stage's process, the program first, with placeholders filled in as `look_up`
/// says.
std::vector<std::string> command_line(const Stage& stage, const Recipe& recipe, const Json& filled);

}  // namespace tigerbot::workflow
