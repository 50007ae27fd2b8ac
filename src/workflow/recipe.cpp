#include "workflow/recipe.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/toml.h"
#include "data/recipe.h"
#include "workflow/placeholders.h"

namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
                              std::string::npos;
}

/// The value of "name=value" on the command line: TOML's own, or else a text.
Json value_of(const std::string& text) {
  try {
    return parse_toml("value = " + text, "--set")["value"];
  } catch (const Error&) {
    return text;
  }
}

/// The recipe's variables, with those of the command line in place of its own and each filled in
/// from the others.
Json read_variables(const Json& table, const Recipe& recipe,
                    const std::vector<std::string>& settings) {
  const std::string source = recipe.path.string();
  Json variables = table.value("variables", Json::object());
  if (!variables.is_object()) fail("{}: variables must be a table", source);
  std::vector<std::string> names;
  for (const auto& [name, value] : variables.items()) {
    if (!is_plain_name(name)) {
      fail("{}: variables.{}: letters, digits, - and _ make a name", source, name);
    }
    for (const char* own : {"out", "recipe", "here", "tigerbot"}) {
      if (name == own) fail("{}: variables.{}: the name has a meaning of its own", source, name);
    }
    names.push_back(name);
  }
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      fail("--set {}: write --set NAME=VALUE", quote(setting));
    }
    const std::string name = setting.substr(0, equals);
    if (!variables.contains(name)) {
      fail("--set {}: {} has no such variable{}", name, source, did_you_mean(name, names));
    }
    variables[name] = value_of(setting.substr(equals + 1));
  }
  const std::string here = fs::absolute(recipe.path).parent_path().lexically_normal().string();
  // A variable may name others; past this depth they name each other in a circle.
  for (int depth = 0; depth < 8; ++depth) {
    const Json before = variables;
    variables = fill_in(variables, [&](const std::string& name) -> std::optional<Json> {
      if (name == "here") return here;
      return before.contains(name) ? std::optional(before[name]) : std::nullopt;
    });
    if (variables == before) {
      for (const Reference& left : references(variables)) {
        if (variables.contains(left.name)) {
          fail("{}: variables name each other in a circle", source);
        }
      }
      variables["here"] = here;
      return variables;
    }
  }
  fail("{}: variables name each other in a circle", source);
}

std::vector<std::string> read_texts(JsonReader& reader, const char* key) {
  return reader.get<std::vector<std::string>>(key, std::vector<std::string>{});
}

void read_command(JsonReader& reader, Stage& stage) {
  int given = 0;
  for (const char* key : {"command", "script", "server"}) {
    if (!reader.has(key)) continue;
    ++given;
    stage.command = reader.get<std::vector<std::string>>(key);
    stage.is_script = std::string_view(key) != "command";
    stage.is_server = std::string_view(key) == "server";
    if (stage.command.empty()) fail("{} is empty", reader.place(key));
  }
  if (given != 1) {
    fail("{}: give one of \"command\" (of tigerbot), \"script\" and \"server\" (Python)",
         reader.place("command"));
  }
}

void read_budget(JsonReader& reader, Stage& stage) {
  auto budget = reader.find_object("budget");
  if (!budget) return;
  stage.budget.tokens = budget->get<std::int64_t>("tokens", 0);
  stage.budget.minutes = budget->get<double>("minutes", 0.0);
  if (stage.budget.tokens < 0 || stage.budget.minutes < 0) {
    fail("{} must be at least 0", budget->place("tokens"));
  }
  if (stage.budget.tokens > 0 && stage.budget.minutes > 0) {
    fail("{}: give tokens or minutes, not both", budget->place("minutes"));
  }
  if (stage.command.front() != "train" || stage.is_script) {
    fail("{}: only a stage that trains has a budget", budget->place("tokens"));
  }
  budget->finish();
}

void read_cluster(JsonReader& reader, Stage& stage) {
  auto table = reader.find_object("cluster");
  if (!table) return;
  Cluster cluster;
  cluster.tensor = table->get<std::int64_t>("tensor", std::int64_t{1});
  cluster.pipeline = table->get<std::int64_t>("pipeline", std::int64_t{1});
  cluster.data = table->get<std::int64_t>("data", std::int64_t{1});
  for (const char* key : {"tensor", "pipeline", "data"}) {
    if (table->get<std::int64_t>(key, std::int64_t{1}) < 1) {
      fail("{} must be at least 1", table->place(key));
    }
  }
  cluster.shards_optimizer = table->get<bool>("shards_optimizer", true);
  if (table->has("device_memory")) {
    cluster.device_memory =
        data::parse_bytes(table->get<Json>("device_memory"), table->place("device_memory"));
  }
  table->finish();
  stage.cluster = cluster;
}

/// The stages that `stage` names; an Error for a name that is neither a stage before it nor known.
void find_needs(const Recipe& recipe, const JsonReader& reader, Stage& stage) {
  std::vector<std::string> names;
  for (const Stage& before : recipe.stages) names.push_back(before.name);
  for (const Reference& reference : references(settings_of(stage))) {
    if (reference.name == "out" || reference.name == "recipe" || reference.name == "tigerbot") {
      continue;
    }
    if (std::find(names.begin(), names.end(), reference.name) == names.end()) {
      std::vector<std::string> known = names;
      for (const auto& [name, value] : recipe.variables.items()) known.push_back(name);
      fail("{}: {{{}}} is no variable and no stage before {}{}; {{{{{}}}}} is the text itself",
           reader.place("name"), reference.name, quote(stage.name),
           did_you_mean(reference.name, known), reference.name);
    }
    stage.needs.insert(reference.name);
  }
}

Stage read_stage(JsonReader& reader, const Recipe& recipe) {
  Stage stage;
  stage.name = reader.get<std::string>("name");
  if (!is_plain_name(stage.name)) {
    fail("{}: {} is no name; letters, digits, - and _ make one", reader.place("name"),
         quote(stage.name));
  }
  if (recipe.variables.contains(stage.name) || stage.name == "out" || stage.name == "recipe" ||
      stage.name == "tigerbot") {
    fail("{}: {} is taken", reader.place("name"), quote(stage.name));
  }
  for (const Stage& other : recipe.stages) {
    if (other.name == stage.name) {
      fail("{}: there are two stages {}", reader.place("name"), quote(stage.name));
    }
    if (other.is_server) {
      fail("{}: a server is the last stage", reader.place("name"));
    }
  }
  stage.title = reader.get<std::string>("title", std::string(stage.name));
  read_command(reader, stage);
  stage.inputs = read_texts(reader, "inputs");
  stage.discard = read_texts(reader, "discard");
  for (const std::string& path : stage.discard) {
    const fs::path clean = fs::path(path).lexically_normal();
    if (path.empty() || clean.is_absolute() || clean == "." || *clean.begin() == "..") {
      fail("{}: {} is no path inside the stage's results", reader.place("discard"), quote(path));
    }
  }
  stage.recipe = reader.get<Json>("recipe", Json());
  if (!stage.recipe.is_null() && !stage.recipe.is_object()) {
    fail("{} must be a table", reader.place("recipe"));
  }
  read_budget(reader, stage);
  if (stage.budget.given() && stage.recipe.is_null()) {
    fail("{}: a budget needs the stage's own recipe", reader.place("budget"));
  }
  read_cluster(reader, stage);
  if (reader.has("shape")) {
    const fs::path shape = reader.get<std::string>("shape");
    stage.shape = (fs::absolute(recipe.path).parent_path() / shape).lexically_normal();
    if (!fs::exists(stage.shape)) {
      fail("{}: {} is not there", reader.place("shape"), quote(stage.shape.string()));
    }
  }
  stage.is_result = reader.get<bool>("result", false);
  stage.note = reader.get<std::string>("note", "");
  reader.finish();
  find_needs(recipe, reader, stage);
  return stage;
}

}  // namespace

const Stage& Recipe::stage(const std::string& name) const {
  std::vector<std::string> names;
  for (const Stage& stage : stages) {
    if (stage.name == name) return stage;
    names.push_back(stage.name);
  }
  fail("{}: there is no stage {}{}; the stages are {}", path.string(), quote(name),
       did_you_mean(name, names), fmt::join(names, ", "));
}

Json settings_of(const Stage& stage) {
  Json settings = {{"command", stage.command}};
  if (stage.is_script) settings["script"] = true;
  if (!stage.recipe.is_null()) settings["recipe"] = stage.recipe;
  if (!stage.inputs.empty()) settings["inputs"] = stage.inputs;
  if (!stage.discard.empty()) settings["discard"] = stage.discard;
  if (stage.budget.tokens > 0) settings["budget"]["tokens"] = stage.budget.tokens;
  if (stage.budget.minutes > 0) settings["budget"]["minutes"] = stage.budget.minutes;
  return settings;
}

Recipe read_recipe(const fs::path& path, const std::vector<std::string>& settings) {
  Recipe recipe;
  recipe.path = path;
  recipe.text = read_file(path, 16 << 20);
  Json table = parse_toml(recipe.text, path.string());
  recipe.variables = read_variables(table, recipe, settings);
  table.erase("variables");
  table = fill_in(table, [&](const std::string& name) -> std::optional<Json> {
    if (!recipe.variables.contains(name)) return std::nullopt;
    return recipe.variables[name];
  });

  JsonReader reader(table, path.string());
  recipe.name = reader.get<std::string>("name", path.stem().string());
  const fs::path output = expand_home(reader.get<std::string>("output"));
  recipe.output = (fs::absolute(path).parent_path() / output).lexically_normal();
  if (!recipe.output.has_filename()) recipe.output = recipe.output.parent_path();
  if (auto limits = reader.find_object("limits")) {
    for (auto [key, limit] :
         {std::pair{"memory", &recipe.memory_limit}, std::pair{"disk", &recipe.disk_limit}}) {
      if (limits->has(key)) {
        *limit = data::parse_bytes(limits->get<Json>(key), limits->place(key));
      }
    }
    limits->finish();
  }
  for (JsonReader& entry : reader.objects("stage")) {
    recipe.stages.push_back(read_stage(entry, recipe));
  }
  reader.finish();
  if (recipe.stages.empty()) fail("{}: there is no [[stage]]", path.string());
  return recipe;
}

}  // namespace tigerbot::workflow
