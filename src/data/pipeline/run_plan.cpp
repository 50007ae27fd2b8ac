#include "data/pipeline/run_plan.h"

#include "base/error.h"
#include "base/files.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

Hash128 hash_of_hex(const std::string& hex, const std::string& where) {
  if (hex.size() != 32 || hex.find_first_not_of("0123456789abcdef") != std::string::npos)
    fail("{}: is damaged; run `tigerbot data build` again", where);
  return {std::stoull(hex.substr(16), nullptr, 16), std::stoull(hex.substr(0, 16), nullptr, 16)};
}

}  // namespace

void write_run_plan(const WorkFolder& work, const RunPlanSources& sources) {
  Json json;
  json["seed"] = sources.seed;
  json["validation"] = sources.validation;
  json["units"] = Json::array();
  for (const Unit& unit : sources.units)
    json["units"].push_back({{"key", unit.key.hex()}, {"source", unit.source}});
  json["earlier"] = Json::array();
  for (const Unit& unit : sources.earlier) json["earlier"].push_back(unit.key.hex());
  json["sources"] = Json::array();
  for (std::size_t s = 0; s < sources.bounds.size(); ++s)
    json["sources"].push_back({{"name", sources.recipe.sources[s].name},
                               {"copies", sources.bounds[s].copies},
                               {"bound", sources.bounds[s].bound},
                               {"all", sources.bounds[s].all}});
  json["steps"] = Json::array();
  for (const GlobalStep& step : sources.steps) {
    Json decisions = Json::array();
    for (std::size_t u = 0; u < sources.units.size(); ++u)
      decisions.push_back(fs::relative(step.decisions[u], work.path()).string());
    json["steps"].push_back({{"kind", step.kind}, {"decisions", std::move(decisions)}});
  }
  write_file(work.path() / "plan.json", json.dump() + "\n");
}

RunPlan read_run_plan(const WorkFolder& work) {
  const fs::path path = work.path() / "plan.json";
  if (!fs::exists(path))
    fail("{}: there is no finished run here; `tigerbot data build` makes one",
         work.output().string());
  const Json json = read_json_file(path);
  RunPlan plan;
  try {
    plan.seed = json.at("seed").get<std::uint64_t>();
    plan.validation = json.at("validation").get<double>();
    for (const Json& source : json.at("sources")) {
      plan.source_names.push_back(source.at("name").get<std::string>());
      plan.bounds.push_back({source.at("copies").get<std::uint32_t>(),
                             source.at("bound").get<std::uint64_t>(),
                             source.at("all").get<bool>()});
    }
    for (const Json& from : json.at("units")) {
      Unit unit;
      unit.key = hash_of_hex(from.at("key").get<std::string>(), path.string());
      unit.source = from.at("source").get<std::size_t>();
      if (unit.source >= plan.bounds.size()) fail("{}: is damaged", path.string());
      plan.units.push_back(std::move(unit));
    }
    plan.own_units = plan.units.size();
    for (const Json& key : json.at("earlier")) {
      Unit unit;
      unit.key = hash_of_hex(key.get<std::string>(), path.string());
      plan.units.push_back(std::move(unit));
    }
    for (const Json& from : json.at("steps")) {
      GlobalStep step;
      step.kind = from.at("kind").get<std::string>();
      for (const Json& file : from.at("decisions"))
        step.decisions.push_back(work.path() / file.get<std::string>());
      if (step.decisions.size() != plan.own_units) fail("{}: is damaged", path.string());
      plan.steps.push_back(std::move(step));
    }
  } catch (const Json::exception&) {
    fail("{}: is damaged; run `tigerbot data build` again", path.string());
  }
  return plan;
}

}  // namespace tigerbot::data
