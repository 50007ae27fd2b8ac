#include "data/pipeline/manifest.h"

#include <algorithm>

#include "base/version.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "tigerbot-data-1";

Amount sum_of(const std::map<std::pair<std::string, std::string>, Amount>& amounts,
              const std::string* source = nullptr) {
  Amount sum;
  for (const auto& item : amounts)
    if (source == nullptr || item.first.first == *source) sum += item.second;
  return sum;
}

/// One line for each source: what was there, how often it was taken, what came out.
Json mixture_table(const RunFacts& facts) {
  const Recipe& recipe = *facts.recipe;
  const Amount all = sum_of(facts.output.train);
  const auto total = static_cast<double>(measured(all, recipe.mixture.by));
  Json table = Json::array();
  for (std::size_t s = 0; s < recipe.sources.size(); ++s) {
    const SourceSettings& source = recipe.sources[s];
    const Amount train = sum_of(facts.output.train, &source.name);
    Json row = to_json(train);
    row["source"] = source.name;
    row["kind"] = source.kind;
    row["licence"] = source.licence;
    row["supply"] = facts.supplies[s].amount;
    row["copies"] = facts.plan.factors[s];
    row["share"] =
        total > 0 ? static_cast<double>(measured(train, recipe.mixture.by)) / total : 0.0;
    row["validation"] = to_json(sum_of(facts.output.validation, &source.name));
    table.push_back(std::move(row));
  }
  return table;
}

Json by_language_json(const ByLanguage& amounts) {
  Json json = Json::object();
  for (const auto& item : amounts) json[item.first] = to_json(item.second);
  return json;
}

ByLanguage output_by_language(const OutputAmounts& output, const std::string* source = nullptr) {
  ByLanguage sums;
  for (const auto* split : {&output.train, &output.validation})
    for (const auto& item : *split)
      if (source == nullptr || item.first.first == *source) sums[item.first.second] += item.second;
  return sums;
}

/// What is left after each stage, by language: "read", the stages in order, "mixture".
Json funnel_of(const RunFacts& facts, const Statistics& documents, const Statistics& duplicates,
               const std::string* source) {
  Json funnel = Json::array();
  const auto add = [&](const std::string& stage, const ByLanguage& left) {
    funnel.push_back({{"stage", stage}, {"languages", by_language_json(left)}});
  };
  const auto& stages = facts.recipe->document_stages;
  for (std::size_t k = 0; k < documents.entered.size(); ++k)
    add(k == 0 ? "read" : stages[k - 1].kind, documents.entered[k]);
  for (std::size_t k = 1; k < duplicates.entered.size(); ++k)
    add(facts.global_steps[k - 1], duplicates.entered[k]);
  add("mixture", output_by_language(facts.output, source));
  return funnel;
}

/// The recipe without what changes no byte of the output.
Json settings_of(const Recipe& recipe) {
  Json settings = recipe.table;
  for (const char* key : {"threads", "memory_limit", "bad_row_limit", "output"})
    settings["run"].erase(key);
  return settings;
}

}  // namespace

Json manifest_json(const RunFacts& facts) {
  const Recipe& recipe = *facts.recipe;
  Json json;
  json["format"] = kFormat;
  json["name"] = recipe.run.name;
  json["key"] = facts.key;
  json["tigerbot"] = {{"version", version()}, {"commit", git_commit()}};
  json["recipe"] = settings_of(recipe);
  json["measure"] = measure_name(recipe.mixture.by);
  json["tokens_counted"] = facts.tokens_counted;
  json["train"] = to_json(sum_of(facts.output.train));
  json["validation"] = to_json(sum_of(facts.output.validation));
  json["mixture"] = mixture_table(facts);
  json["notes"] = facts.plan.notes;
  json["bad_inputs"] = facts.documents.bad_inputs;
  json["dropped"] = Json::object();
  for (const Statistics* statistics : {&facts.documents, &facts.duplicates})
    for (const auto& item : statistics->drops) json["dropped"][item.first] = to_json(item.second);
  json["shards"] = Json::array();
  for (const ShardSummary& shard : facts.shards)
    json["shards"].push_back({{"name", shard.name},
                              {"documents", shard.documents},
                              {"raw_bytes", shard.raw_bytes},
                              {"file_bytes", shard.file_bytes},
                              {"sha256", shard.sha256}});
  return json;
}

Json report_json(const RunFacts& facts) {
  Json json = manifest_json(facts);
  json["input_bytes"] = facts.documents.input_bytes;
  json["funnel"] = funnel_of(facts, facts.documents, facts.duplicates, nullptr);
  json["funnel_by_source"] = Json::object();
  for (const auto& item : facts.by_source)
    json["funnel_by_source"][item.first] =
        funnel_of(facts, item.second, facts.duplicates_by_source.at(item.first), &item.first);
  Statistics all = facts.documents;
  // The duplicate stages know only what they drop; the first stages' histograms hold the rest.
  for (const auto& item : facts.duplicates.edits) all.edits[item.first] += item.second;
  all.dropped.add(facts.duplicates.dropped);
  for (const auto& item : facts.duplicates.drops) all.drops[item.first] += item.second;
  for (const auto& item : facts.duplicates.dropped_lengths) {
    all.dropped_lengths[item.first] += item.second;
    all.kept_lengths[item.first] -= std::min(item.second, all.kept_lengths[item.first]);
  }
  Json statistics = all.to_json();
  statistics.erase("entered");
  json["statistics"] = std::move(statistics);
  json["clusters"] = facts.clusters;
  json["stage_names"] = names_of_stages(*facts.recipe);
  json["seconds"] = facts.seconds;
  json["threads"] = facts.threads;
  json["ranks"] = facts.ranks;
  json["units"] = facts.units;
  return json;
}

bool manifest_holds(const fs::path& output, const std::string& key) {
  const fs::path path = output / "manifest.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  const Json manifest = read_json_file(path);
  if (manifest.value("format", "") != kFormat || manifest.value("key", "") != key) return false;
  for (const Json& shard : manifest.at("shards")) {
    const fs::path file = output / shard.at("name").get<std::string>();
    if (!fs::is_regular_file(file, ignored) ||
        fs::file_size(file, ignored) != shard.at("file_bytes").get<std::uint64_t>())
      return false;
  }
  return true;
}

}  // namespace tigerbot::data
