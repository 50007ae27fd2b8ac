#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/toml.h"
#include "data/stage.h"

namespace tigerbot::data {

/// The stage of a recipe's table, as TOML.
inline std::unique_ptr<DocumentStage> stage_of(const std::string& toml) {
  const Json table = parse_toml(toml, "recipe.toml");
  JsonReader reader(table, "recipe.toml", "stage[0]");
  return make_document_stage(reader);
}

inline Document document_of(std::string text, std::string language = "") {
  Document document;
  document.text = std::move(text);
  document.language = std::move(language);
  return document;
}

}  // namespace tigerbot::data
