#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "data/recipe.h"
#include "parallel/communicator.h"
#include "tokenizer/tokenizer.h"

/// A data run from the recipe to the shards: `tigerbot data build`.
namespace tigerbot::data {

struct BuildOptions {
  bool show_progress = true;
  /// How mixture.tokenizer is opened, and a text that changes when its files do.
  std::function<std::unique_ptr<Tokenizer>(const std::string&)> open_tokenizer;
  std::function<std::string(const std::string&)> tokenizer_stamp;
};

struct BuildResult {
  bool up_to_date = false;  ///< nothing was to be done
  Json report;              ///< on rank 0; what report.json holds
};

/// Runs what is still to be done of a recipe: work that an earlier run left and that still holds is
/// used again. In the end the output folder has the shards, manifest.json, report.json and
/// report.html. Every rank must call it; an error is thrown on all of them. The shards and the
/// manifest are the same bytes for any number of ranks and threads, however often the run was cut
/// off.
BuildResult build(const Recipe& recipe, const BuildOptions& options, Communicator& communicator);

}  // namespace tigerbot::data
