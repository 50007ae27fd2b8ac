#include "workflow/plan.h"

#include <stdlib.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/toml.h"
#include "data/recipe.h"
#include "workflow/child_process.h"
#include "workflow/digest.h"
#include "workflow/placeholders.h"
#include "workflow/places.h"
#include "workflow/stage_key.h"
#include "workflow/stage_run.h"
#include "workflow/stage_state.h"
#include "workflow/training_plan.h"

namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

/// A stage's own recipe in a file, as its command would read it.
class RecipeFile {
 public:
  explicit RecipeFile(const Json& recipe) {
    std::string name = (fs::temp_directory_path() / "tigerbot-plan-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail_internal("{}: cannot be made", name);
    folder_ = name;
    write_file(path(), format_toml(recipe));
  }
  ~RecipeFile() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  RecipeFile(const RecipeFile&) = delete;
  RecipeFile& operator=(const RecipeFile&) = delete;
  fs::path path() const { return folder_ / "recipe.toml"; }

 private:
  fs::path folder_;
};

class Planner {
 public:
  Planner(const Recipe& recipe, const RunOptions& options, const CommandCheck& check)
      : recipe_(recipe), options_(options), check_(check), places_{recipe.output} {}

  Json plan() {
    Json stages = Json::array();
    for (const Stage& stage : recipe_.stages) stages.push_back(plan_stage(stage));
    return {{"name", recipe_.name},
            {"output", recipe_.output.string()},
            {"limits", {{"memory", recipe_.memory_limit}, {"disk", recipe_.disk_limit}}},
            {"stages", stages}};
  }

 private:
  Json plan_stage(const Stage& stage) {
    Json entry = {{"name", stage.name}, {"title", stage.title}};
    const std::string reason = reason_of(stage);
    entry["runs"] = !reason.empty();
    entry["reason"] = reason.empty() ? "up to date" : reason;
    if (!reason.empty()) runs_.insert(stage.name);
    const Json filled = fill(stage, Json(stage.command));
    entry["command"] = command_line(stage, recipe_, filled);
    if (stage.is_script) {
      if (!fs::exists(script_path(stage, recipe_))) {
        fail("{}: stage {}: {} is not there", recipe_.path.string(), quote(stage.name),
             quote(script_path(stage, recipe_).string()));
      }
    } else if (const std::string wrong =
                   check_(without_escapes(filled).get<std::vector<std::string>>());
               !wrong.empty()) {
      fail("{}: stage {}: {}", recipe_.path.string(), quote(stage.name), wrong);
    }
    if (!stage.recipe.is_null()) check_recipe(stage, entry);
    return entry;
  }

  std::string reason_of(const Stage& stage) {
    from_reached_ = from_reached_ || stage.name == options_.from;
    if (!options_.only.empty()) {
      const auto& only = options_.only;
      return std::find(only.begin(), only.end(), stage.name) != only.end() ? "asked for" : "";
    }
    if (stage.is_server) return options_.serve ? "serves at the end" : "";
    for (const std::string& need : stage.needs) {
      if (runs_.contains(need)) return fmt::format("it needs {}, which runs", need);
    }
    if (from_reached_) return "asked for";
    return reason_to_run(stage, recipe_, digests_);
  }

  Json fill(const Stage& stage, const Json& value) const {
    return fill_in(value, [&](const std::string& name) -> std::optional<Json> {
      if (name == "out") return places_.result(stage.name).string();
      if (name == "recipe") return (places_.stage(stage.name) / "recipe.toml").string();
      if (name == "tigerbot") return own_program().string();
      if (stage.needs.contains(name)) return places_.result(name).string();
      return std::nullopt;
    });
  }

  /// Reads a stage's recipe as its command does; errors name the stage, not a file in passing.
  void check_recipe(const Stage& stage, Json& entry) {
    const RecipeFile file(without_escapes(fill(stage, stage.recipe)));
    const bool trains = stage.command.front() == "train" && !stage.is_script;
    try {
      if (trains) {
        entry["training"] = plan_training(stage, file.path());
      } else if (stage.command.size() >= 2 && stage.command[0] == "data" &&
                 stage.command[1] == "build") {
        entry["sources"] = count_sources(data::read_recipe(file.path()));
      }
    } catch (const Error& error) {
      std::string message = error.what();
      const std::string path = file.path().string();
      if (message.starts_with(path + ": ")) message = message.substr(path.size() + 2);
      throw Error(
          fmt::format("{}: stage {}: {}", recipe_.path.string(), quote(stage.name), message),
          error.kind());
    }
  }

  static Json count_sources(const data::Recipe& recipe) {
    Json sources = Json::array();
    for (const data::SourceSettings& source : recipe.sources) {
      std::size_t files = 0;
      for (const std::string& pattern : source.files) {
        for (const auto& [open, close] : {std::pair{'[', ']'}, std::pair{'{', '}'}}) {
          if (std::count(pattern.begin(), pattern.end(), open) !=
              std::count(pattern.begin(), pattern.end(), close)) {
            fail("source {}: {} has a {} without its {}", quote(source.name), quote(pattern), open,
                 close);
          }
        }
        files += matches(pattern).size();
      }
      sources.push_back({{"name", source.name}, {"files", files}});
    }
    return sources;
  }

  const Recipe& recipe_;
  const RunOptions& options_;
  const CommandCheck& check_;
  const Places places_;
  Digests digests_;
  std::set<std::string> runs_;
  bool from_reached_ = false;
};

std::string bytes_of(const Json& value) { return format_bytes(value.get<std::uint64_t>()); }
std::string count_of(const Json& value) { return format_count(value.get<std::uint64_t>()); }

std::string training_text(const Json& training) {
  std::string out;
  if (training.contains("parameters")) {
    out += fmt::format("      {} parameters, {} of them trained\n",
                       count_of(training["parameters"]), count_of(training["trained_parameters"]));
    const Json& memory = training["memory"];
    out += fmt::format("      memory {}: weights {}, optimizer {}, gradients {}, activations {}\n",
                       bytes_of(memory["total"]), bytes_of(memory["weights"]),
                       bytes_of(memory["optimizer"]), bytes_of(memory["gradients"]),
                       bytes_of(memory["activations"]));
    if (training.contains("cluster")) {
      const Json& cluster = training["cluster"];
      out += fmt::format(
          "      on each of {} devices (tensor {}, pipeline {}, data {}){}\n",
          cluster["devices"].get<std::int64_t>(), cluster["tensor"].get<std::int64_t>(),
          cluster["pipeline"].get<std::int64_t>(), cluster["data"].get<std::int64_t>(),
          cluster.contains("device_memory") ? " of " + bytes_of(cluster["device_memory"])
                                            : std::string());
    }
  } else {
    out += "      parameters and memory are known once its model is made\n";
  }
  if (training.contains("steps")) {
    out += fmt::format("      {} steps of {} tokens, {} in all, {} of them warm-up\n",
                       count_of(training["steps"]), count_of(training["tokens_per_step"]),
                       count_of(training["tokens"]), count_of(training["warmup_steps"]));
  } else {
    out +=
        fmt::format("      steps of {} tokens, as many as {}\n",
                    count_of(training["tokens_per_step"]), training["length"].get<std::string>());
  }
  return out;
}

}  // namespace

Json plan(const Recipe& recipe, const RunOptions& options, const CommandCheck& check) {
  if (!options.from.empty()) recipe.stage(options.from);
  for (const std::string& name : options.only) recipe.stage(name);
  return Planner(recipe, options, check).plan();
}

std::string plan_text(const Json& plan) {
  std::string out = fmt::format("{}, into {}\n", plan["name"].get<std::string>(),
                                plan["output"].get<std::string>());
  for (const auto& [key, bytes] : plan["limits"].items()) {
    if (bytes > 0) out += fmt::format("{} at most {}\n", key, bytes_of(bytes));
  }
  for (const Json& stage : plan["stages"]) {
    out += fmt::format("{} {}: {} ({})\n", stage["runs"].get<bool>() ? "*" : " ",
                       stage["name"].get<std::string>(), stage["title"].get<std::string>(),
                       stage["reason"].get<std::string>());
    if (stage.contains("training")) out += training_text(stage["training"]);
    if (!stage.contains("sources")) continue;
    std::uint64_t files = 0, missing = 0;
    for (const Json& source : stage["sources"]) {
      files += source["files"].get<std::uint64_t>();
      missing += source["files"] == 0 ? 1 : 0;
    }
    out += fmt::format(
        "      {} sources, {} files{}\n", stage["sources"].size(), format_count(files),
        missing > 0 ? fmt::format("; {} of them have no file yet", missing) : std::string());
  }
  return out;
}

}  // namespace tigerbot::workflow
