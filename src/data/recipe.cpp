#include "data/recipe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>
#include <span>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/toml.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

const Names kGlobalKinds{"exact_duplicates", "near_duplicates"};

/// A word of a closed list; an Error names the nearest.
std::string word(JsonReader& reader, std::string_view key, std::string fallback,
                 const Names& allowed) {
  const std::string value = reader.get<std::string>(key, std::move(fallback));
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    fail("{} must be one of {}, not {}{}", reader.place(key), fmt::join(allowed, ", "),
         quote(value), did_you_mean(value, allowed));
  return value;
}

std::uint64_t bytes_of(JsonReader& reader, std::string_view key, std::uint64_t fallback,
                       std::uint64_t least) {
  const auto value = reader.find<Json>(key);
  if (!value) return fallback;
  const std::uint64_t bytes = parse_bytes(*value, reader.place(key));
  if (bytes < least)
    fail("{} must be at least {}, not {}", reader.place(key), format_bytes(least),
         format_bytes(bytes));
  return bytes;
}

/// A number in [low, high].
double number(JsonReader& reader, std::string_view key, double fallback, double low, double high) {
  const double value = reader.get<double>(key, fallback);
  if (!(value >= low && value <= high))
    fail("{} must be from {} to {}, not {}", reader.place(key), low, high, value);
  return value;
}

fs::path resolve(const fs::path& recipe, const std::string& path) {
  const fs::path expanded = expand_home(path);
  if (expanded.is_absolute()) return expanded.lexically_normal();
  return (fs::absolute(recipe).parent_path() / expanded).lexically_normal();
}

RunSettings read_run(JsonReader reader, const fs::path& recipe) {
  RunSettings run;
  run.name = reader.get<std::string>("name", recipe.stem().string());
  run.output = resolve(recipe, reader.get<std::string>("output"));
  run.seed = reader.get<std::uint64_t>("seed", 0);
  run.threads = static_cast<int>(number(reader, "threads", 0, 0, 1024));
  run.memory_limit = bytes_of(reader, "memory_limit", run.memory_limit, 64 << 20);
  run.bad_row_limit = reader.find<std::uint64_t>("bad_row_limit");
  run.earlier = reader.get<Names>("earlier", {});
  run.unit_bytes = bytes_of(reader, "unit_bytes", run.unit_bytes, 1 << 10);
  reader.finish();
  return run;
}

SourceSettings read_source(JsonReader reader) {
  SourceSettings source;
  source.name = reader.get<std::string>("name");
  if (source.name.empty()) fail("{} is empty; every source needs a name", reader.place("name"));
  source.kind = reader.get("kind", "");
  const Json files = reader.get<Json>("files");
  source.files = files.is_string() ? Names{files.get<std::string>()} : reader.get<Names>("files");
  if (source.files.empty())
    fail("{} is empty; source {} needs a file, a folder or a glob", reader.place("files"),
         quote(source.name));
  source.format = word(reader, "format", "",
                       {"", "jsonl", "text", "html", "parquet", "warc", "wet", "pdf", "wikipedia"});
  source.text_field = reader.get("text_field", "text");
  source.text_unit = word(reader, "text_unit", "file", {"file", "paragraph", "line"});
  source.language = reader.get("language", "");
  source.licence = reader.get("licence", "");
  source.keep_metadata = reader.get<bool>("keep_metadata", true);
  source.max_document_bytes = bytes_of(reader, "max_document_bytes", source.max_document_bytes, 1);
  source.max_compression_ratio =
      number(reader, "max_compression_ratio", source.max_compression_ratio, 1, 1e6);
  reader.finish();
  return source;
}

std::map<std::string, double> read_amounts(JsonReader& reader, std::string_view key,
                                           const Names& known) {
  std::map<std::string, double> amounts;
  const auto table = reader.find_object(key);
  if (!table) return amounts;
  for (const auto& item : table->value().items()) {
    const std::string place = table->place(item.key());
    if (std::find(known.begin(), known.end(), item.key()) == known.end())
      fail("{}: there is no source or kind {}{}", place, quote(item.key()),
           did_you_mean(item.key(), known));
    if (!item.value().is_number()) fail("{} must be a number", place);
    const double value = item.value().get<double>();
    if (!(value >= 0 && value <= 1e9)) fail("{} must be 0 or more, not {}", place, value);
    amounts[item.key()] = value;
  }
  return amounts;
}

MixtureSettings read_mixture(JsonReader reader, const fs::path& recipe,
                             const std::vector<SourceSettings>& sources) {
  MixtureSettings mixture;
  const std::string by = word(reader, "by", "bytes", {"bytes", "tokens", "documents"});
  mixture.by = by == "bytes"    ? Measure::kBytes
               : by == "tokens" ? Measure::kTokens
                                : Measure::kDocuments;
  if (const auto name = reader.find<std::string>("tokenizer")) {
    const fs::path path = resolve(recipe, *name);
    mixture.tokenizer = fs::exists(path) ? path.string() : *name;
  }
  if (mixture.by == Measure::kTokens && mixture.tokenizer.empty())
    fail("{} is missing; by = \"tokens\" needs the tokenizer.json or .model that counts them",
         reader.place("tokenizer"));
  Names known;
  for (const SourceSettings& source : sources) {
    known.push_back(source.name);
    if (!source.kind.empty()) known.push_back(source.kind);
  }
  mixture.shares = read_amounts(reader, "shares", known);
  mixture.weights = read_amounts(reader, "weights", known);
  double sum = 0;
  for (const auto& item : mixture.shares) sum += item.second;
  if (sum > 1 + 1e-9)
    fail("{} add up to {:.4g}; they can be at most 1", reader.place("shares"), sum);
  for (const SourceSettings& source : sources) {
    if (source.kind != source.name && mixture.shares.contains(source.name) &&
        mixture.shares.contains(source.kind))
      fail("{} names the source {} and its kind {}; give one of them", reader.place("shares"),
           quote(source.name), quote(source.kind));
  }
  if (const auto total = reader.find<Json>("total")) {
    const std::string place = reader.place("total");
    mixture.total = parse_bytes(*total, place);
    if (*mixture.total == 0) fail("{} must be more than 0", place);
  }
  mixture.up_sampling_limit = number(reader, "up_sampling_limit", 1, 1, 1000);
  mixture.nearest = word(reader, "unreachable", "error", {"error", "nearest"}) == "nearest";
  reader.finish();
  return mixture;
}

OutputSettings read_output(JsonReader reader) {
  OutputSettings output;
  output.shard_bytes = bytes_of(reader, "shard_bytes", output.shard_bytes, 1 << 10);
  output.validation = number(reader, "validation", 0, 0, 0.5);
  output.compress = word(reader, "compression", "zstd", {"zstd", "none"}) == "zstd";
  output.compression_level = static_cast<int>(number(reader, "compression_level", 3, 1, 19));
  reader.finish();
  return output;
}

/// Keys of stages that hold files, folders or globs, wherever they stand in the table.
const std::set<std::string> kPathKeys{"model", "path",       "paths", "file",
                                      "files", "dictionary", "sets"};

/// Makes the paths of a stage start at the recipe's folder.
void resolve_paths(Json& value, const fs::path& recipe) {
  if (value.is_array()) {
    for (Json& item : value) resolve_paths(item, recipe);
    return;
  }
  if (!value.is_object()) return;
  for (auto& item : value.items()) {
    Json& inner = item.value();
    if (!kPathKeys.contains(item.key())) {
      resolve_paths(inner, recipe);
    } else if (inner.is_string()) {
      inner = resolve(recipe, inner.get<std::string>()).string();
    } else if (inner.is_array()) {
      for (Json& path : inner) {
        if (path.is_string())
          path = resolve(recipe, path.get<std::string>()).string();
        else
          resolve_paths(path, recipe);
      }
    }
  }
}

void read_stages(JsonReader& reader, Recipe& recipe) {
  if (!reader.has("stage")) return;
  for (JsonReader& stage : reader.objects("stage")) {
    StageSettings settings;
    settings.kind = stage.get<std::string>("kind");
    settings.entry = stage.value();
    resolve_paths(settings.entry, recipe.path);
    const std::string place = stage.place("kind");
    settings.place = place.substr(place.find(": ") + 2);
    settings.place.resize(settings.place.size() - std::string_view(".kind").size());
    if (std::find(kGlobalKinds.begin(), kGlobalKinds.end(), settings.kind) != kGlobalKinds.end()) {
      recipe.global_stages.push_back(std::move(settings));
      continue;
    }
    Names kinds = document_stage_kinds();
    if (std::find(kinds.begin(), kinds.end(), settings.kind) == kinds.end()) {
      kinds.insert(kinds.end(), kGlobalKinds.begin(), kGlobalKinds.end());
      fail("{}: there is no stage {}{}; there are {}", place, quote(settings.kind),
           did_you_mean(settings.kind, kinds), fmt::join(kinds, ", "));
    }
    if (!recipe.global_stages.empty())
      fail("{}: {} looks at one document at a time and must stand before {}", place,
           quote(settings.kind), quote(recipe.global_stages.front().kind));
    recipe.document_stages.push_back(std::move(settings));
  }
}

DocumentStages make_document_stages(const Recipe& recipe) {
  DocumentStages stages;
  for (const StageSettings& settings : recipe.document_stages) {
    JsonReader reader(settings.entry, recipe.path.string(), settings.place);
    stages.push_back(make_document_stage(reader));
  }
  return stages;
}

}  // namespace

std::string_view measure_name(Measure measure) {
  switch (measure) {
    case Measure::kTokens:
      return "tokens";
    case Measure::kDocuments:
      return "documents";
    default:
      return "bytes";
  }
}

std::uint64_t parse_bytes(const Json& value, const std::string& place) {
  double amount = -1;
  if (value.is_number()) {
    amount = value.get<double>();
  } else if (value.is_string()) {
    const std::string text = value.get<std::string>();
    char* end = nullptr;
    amount = std::strtod(text.c_str(), &end);
    const std::string_view unit = trim(end);
    static const std::map<std::string_view, double> kUnits{
        {"", 1},         {"B", 1},        {"kB", 1e3},    {"KB", 1e3},
        {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},   {"KiB", 0x1p10},
        {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    const auto known = kUnits.find(unit);
    if (end == text.c_str() || known == kUnits.end())
      fail("{} must be a number of bytes or a text such as \"2 GiB\" or \"500 MB\", not {}", place,
           quote(text));
    amount *= known->second;
  }
  if (!(amount >= 0 && amount < 0x1p63))
    fail("{} must be a number of bytes or a text such as \"2 GiB\" or \"500 MB\"", place);
  return static_cast<std::uint64_t>(amount);
}

Recipe read_recipe(const fs::path& path) {
  Recipe recipe;
  recipe.path = path;
  recipe.table = read_toml_file(path);
  JsonReader reader(recipe.table, path.string());
  recipe.run = read_run(reader.object("run"), path);
  std::set<std::string> names;
  for (JsonReader& source : reader.objects("source")) {
    recipe.sources.push_back(read_source(source));
    if (!names.insert(recipe.sources.back().name).second)
      fail("{}: two sources are called {}", source.place("name"),
           quote(recipe.sources.back().name));
  }
  if (recipe.sources.empty()) fail("{} is empty; a run needs a [[source]]", reader.place("source"));
  for (const SourceSettings& source : recipe.sources) {
    if (source.kind != source.name && names.contains(source.kind))
      fail("{}: {} is the kind of source {} and the name of another source; rename one",
           path.string(), quote(source.kind), quote(source.name));
  }
  read_stages(reader, recipe);
  static const Json kEmpty = Json::object();
  const auto mixture = reader.find_object("mixture");
  recipe.mixture = read_mixture(mixture ? *mixture : JsonReader(kEmpty, path.string(), "mixture"),
                                path, recipe.sources);
  const auto output = reader.find_object("output");
  recipe.output = read_output(output ? *output : JsonReader(kEmpty, path.string(), "output"));
  reader.finish();
  if (!recipe.run.earlier.empty() && recipe.global_stages.empty())
    fail("{}: earlier is for duplicates of an earlier run; add a [[stage]] of {}",
         reader.place("run"), fmt::join(kGlobalKinds, " or "));
  if (recipe.output.shard_bytes * 2 > recipe.run.memory_limit)
    fail(
        "{} is {}: a shard is sorted in memory and run.memory_limit is {}; lower one or raise the "
        "other",
        reader.place("output.shard_bytes"), format_bytes(recipe.output.shard_bytes),
        format_bytes(recipe.run.memory_limit));
  recipe.stages = std::make_shared<const DocumentStages>(make_document_stages(recipe));
  return recipe;
}

std::vector<std::string> names_of_stages(const Recipe& recipe) {
  std::vector<std::string> names;
  for (const auto* list : {&recipe.document_stages, &recipe.global_stages})
    for (const StageSettings& stage : *list) names.push_back(stage.kind);
  return names;
}

}  // namespace tigerbot::data
