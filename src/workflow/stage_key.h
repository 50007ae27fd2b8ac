#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "workflow/digest.h"
#include "workflow/places.h"
#include "workflow/recipe.h"

namespace tigerbot::workflow {

/// Everything that decides what a stage makes. Two runs with the same key make the same results.
struct StageKey {
  Json settings;                               ///< of the recipe
  std::map<std::string, std::string> results;  ///< SHA-256 of each "{NAME}/part" that it names
  std::map<std::string, std::string> inputs;   ///< SHA-256 of each file from outside
  std::string program;                         ///< version of this program

  Json to_json() const;
  std::string hex() const;  ///< SHA-256 of all of it
};

/// Of a stage whose needs are all made. An Error if it names a result that its stage did not make,
/// or an input that is not there.
StageKey key_of(const Stage& stage, const Recipe& recipe, Digests& digests);

/// The path of a script: as it stands, or below the recipe's folder.
std::filesystem::path script_path(const Stage& stage, const Recipe& recipe);

/// What differs between two keys, in a few words, for people: "its settings (recipe.train)".
std::string difference(const Json& before, const Json& now);

}  // namespace tigerbot::workflow
