#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"

/// The recipe of a whole chain: stages in order, each a command of this program or a script, each
/// with a folder of results that later stages name. Strict: a key that nobody knows is an Error
/// with the nearest right name. docs/recipes.md explains every key.
namespace tigerbot::workflow {

/// How long a training stage goes on.
struct Budget {
  std::int64_t tokens = 0;  ///< the same on every machine
  double minutes = 0;       ///< what this machine does in that time; runs then differ
  bool given() const { return tokens > 0 || minutes > 0; }
};

/// The machines that a training stage is meant for, where it is not this one.
struct Cluster {
  std::int64_t tensor = 1, pipeline = 1, data = 1;
  bool shards_optimizer = true;     ///< ZeRO stage 1: each data rank holds its part
  std::uint64_t device_memory = 0;  ///< bytes of each
  std::int64_t devices() const { return tensor * pipeline * data; }
};

/// Every string may hold placeholders that are filled in when the stage runs: {out}, its results;
/// {recipe}, the file of its `recipe` table; {tigerbot}, this program; {NAME}, the results of stage
/// NAME.
struct Stage {
  std::string name;
  std::string title;                 ///< for people; default: the name
  std::vector<std::string> command;  ///< arguments of this program, or a script and its arguments
  bool is_script = false;
  bool is_server = false;            ///< a script that runs at the end and makes nothing
  Json recipe;                       ///< written as the stage's own TOML file; null: none
  std::vector<std::string> inputs;   ///< files that it reads beside those that it names
  std::vector<std::string> discard;  ///< results that no later stage needs: removed at once
  Budget budget;
  std::optional<Cluster> cluster;
  std::filesystem::path shape;  ///< a config.json: the model, for --dry-run before it is made
  bool is_result = false;       ///< shown first in the report
  std::string note;             ///< what its reader should know, said in the report

  std::set<std::string> needs;  ///< the stages whose results it names
};

struct Recipe {
  std::filesystem::path path;
  std::string name;
  std::filesystem::path output;
  std::uint64_t memory_limit = 0, disk_limit = 0;  ///< bytes; 0: none
  Json variables = Json::object();
  std::vector<Stage> stages;
  std::string text;  ///< the file itself

  const Stage& stage(const std::string& name) const;  ///< an Error that names the nearest
};

/// Reads and checks a recipe. `settings` ("name=value") change what its [variables] say.
Recipe read_recipe(const std::filesystem::path& path, const std::vector<std::string>& settings);

/// The keys of a stage that decide what it makes, with variables filled in and placeholders left.
Json settings_of(const Stage& stage);

}  // namespace tigerbot::workflow
