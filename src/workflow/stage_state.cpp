#include "workflow/stage_state.h"

#include "base/error.h"
#include "workflow/places.h"
#include "workflow/stage_key.h"

namespace tigerbot::workflow {

Json read_record(const Recipe& recipe, const std::string& name) {
  const auto path = Places{recipe.output}.record(name);
  if (!std::filesystem::exists(path)) return nullptr;
  return read_json_file(path);
}

std::string reason_to_run(const Stage& stage, const Recipe& recipe, Digests& digests) {
  const Json record = read_record(recipe, stage.name);
  if (record.is_null()) return "not made yet";
  const StageKey key = key_of(stage, recipe, digests);
  if (record.value("key", "") != key.hex()) {
    return difference(record.value("made_from", Json::object()), key.to_json());
  }
  const auto result = Places{recipe.output}.result(stage.name);
  if (!std::filesystem::is_directory(result)) return "its results are gone";
  if (digests.of(result) != record.value("sha256", "")) return "its results were changed";
  return "";
}

}  // namespace tigerbot::workflow
