#include "workflow/stage_key.h"

#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/version.h"
#include "workflow/placeholders.h"

namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

/// Every string in a value.
void collect(const Json& value, std::vector<std::string>& out) {
  if (value.is_string()) {
    out.push_back(value.get<std::string>());
  } else if (value.is_structured()) {
    for (const Json& entry : value) collect(entry, out);
  }
}

bool lies_below(const fs::path& path, const fs::path& folder) {
  const std::string relative = path.lexically_relative(folder).string();
  return !relative.empty() && !relative.starts_with("..");
}

/// The part of "zh=/path" or "name:/path" that is an absolute path, or "".
std::string path_in(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string path = equals == std::string::npos ? text : text.substr(equals + 1);
  return path.starts_with("/") || path.starts_with("~/") ? path : "";
}

}  // namespace

fs::path script_path(const Stage& stage, const Recipe& recipe) {
  const fs::path name = expand_home(stage.command.front());
  return (fs::absolute(recipe.path).parent_path() / name).lexically_normal();
}

Json StageKey::to_json() const {
  return {{"settings", settings}, {"results", results}, {"inputs", inputs}, {"program", program}};
}

std::string StageKey::hex() const { return sha256_hex(to_json().dump()); }

StageKey key_of(const Stage& stage, const Recipe& recipe, Digests& digests) {
  const Places places{recipe.output};
  StageKey key;
  key.settings = settings_of(stage);
  key.program = version();
  for (const Reference& reference : references(key.settings)) {
    if (!stage.needs.contains(reference.name)) continue;
    const std::string pattern = places.result(reference.name).string() + reference.rest;
    std::string digest = digests.of_pattern(pattern);
    // The prefix of several files: of token shards, say.
    if (digest.empty()) digest = digests.of_pattern(pattern + "*");
    if (digest.empty()) {
      fail("{}: stage {} names {{{}}}{}, and stage {} made no such thing", recipe.path.string(),
           quote(stage.name), reference.name, reference.rest, quote(reference.name));
    }
    key.results[reference.name + reference.rest] = digest;
  }
  if (stage.is_script) {
    const fs::path script = script_path(stage, recipe);
    if (!fs::exists(script)) {
      fail("{}: stage {}: {} is not there", recipe.path.string(), quote(stage.name),
           quote(script.string()));
    }
    key.inputs[script.filename().string()] = digests.of(script);
  }
  for (const std::string& pattern : stage.inputs) {
    const std::string digest = digests.of_pattern(pattern);
    if (digest.empty()) {
      fail("{}: stage {} reads {}, and there is no such file", recipe.path.string(),
           quote(stage.name), quote(pattern));
    }
    key.inputs[pattern] = digest;
  }
  std::vector<std::string> texts;
  collect(key.settings, texts);
  for (const std::string& text : texts) {
    const std::string path = path_in(text);
    if (path.empty() || key.inputs.contains(path) || lies_below(path, recipe.output)) continue;
    if (const std::string digest = digests.of_pattern(path); !digest.empty()) {
      key.inputs[path] = digest;
    }
  }
  return key;
}

std::string difference(const Json& before, const Json& now) {
  if (before.value("program", Json()) != now["program"]) return "another version of the program";
  const Json& old_settings = before.value("settings", Json::object());
  for (const auto& [name, value] : now["settings"].items()) {
    if (old_settings.value(name, Json()) == value) continue;
    if (name == "recipe" && old_settings.contains("recipe")) {
      for (const auto& [table, entry] : value.items()) {
        if (old_settings["recipe"].value(table, Json()) != entry) {
          return "its settings changed (" + table + ")";
        }
      }
    }
    return "its settings changed (" + name + ")";
  }
  for (const char* kind : {"results", "inputs"}) {
    const Json old = before.value(kind, Json::object());
    for (const auto& [name, digest] : now[kind].items()) {
      if (old.value(name, "") != digest.get<std::string>()) return name + " changed";
    }
  }
  return "its settings changed";
}

}  // namespace tigerbot::workflow
