#pragma once

#include <filesystem>
#include <string_view>

#include "base/json.h"

/// TOML files become JSON values, so that recipes and foreign configurations share one strict
/// reader (JsonReader). Dates and times become their strings.
namespace tigerbot {

/// Parses TOML 1.0. `source` names it in messages, which give line and column.
Json parse_toml(std::string_view text, std::string_view source);

/// The text of a table: parse_toml() gives the same value back. Null values are left out.
std::string format_toml(const Json& table);

Json read_toml_file(const std::filesystem::path& path);

}  // namespace tigerbot
