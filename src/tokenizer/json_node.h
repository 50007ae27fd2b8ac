#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tigerbot {

/// Strict access to the nodes of tokenizer.json. `where` names the file and the node in errors.

/// Fails unless `node` is an object with no keys but these.
inline void expect_keys(const nlohmann::json& node, std::initializer_list<std::string_view> keys,
                        const std::string& where) {
  if (!node.is_object()) fail("{}: must be an object", where);
  for (const auto& item : node.items()) {
    bool known = false;
    for (const std::string_view key : keys) known = known || key == item.key();
    if (!known) fail("{}: unknown key \"{}\"", where, item.key());
  }
}

inline const nlohmann::json& required_node(const nlohmann::json& node, const char* key,
                                           const std::string& where) {
  if (!node.is_object()) fail("{}: must be an object", where);
  const auto found = node.find(key);
  if (found == node.end()) fail("{}: \"{}\" is missing", where, key);
  return *found;
}

inline std::string string_field(const nlohmann::json& node, const char* key,
                                const std::string& where) {
  const nlohmann::json& value = required_node(node, key, where);
  if (!value.is_string()) fail("{}: \"{}\" must be a string", where, key);
  return value.get<std::string>();
}

/// The string; nothing where the key is missing or null.
inline std::optional<std::string> optional_string_field(const nlohmann::json& node, const char* key,
                                                        const std::string& where) {
  const auto found = node.find(key);
  if (found == node.end() || found->is_null()) return std::nullopt;
  return string_field(node, key, where);
}

inline bool bool_field(const nlohmann::json& node, const char* key, const std::string& where) {
  const nlohmann::json& value = required_node(node, key, where);
  if (!value.is_boolean()) fail("{}: \"{}\" must be true or false", where, key);
  return value.get<bool>();
}

/// The value; `missing` where the key is missing or null.
inline bool bool_field(const nlohmann::json& node, const char* key, bool missing,
                       const std::string& where) {
  const auto found = node.find(key);
  if (found == node.end() || found->is_null()) return missing;
  return bool_field(node, key, where);
}

/// A whole number of 0 to `maximum`.
inline std::int64_t integer_field(const nlohmann::json& node, const char* key, std::int64_t maximum,
                                  const std::string& where) {
  const nlohmann::json& value = required_node(node, key, where);
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(maximum)) {
    fail("{}: \"{}\" must be a whole number of 0 to {}", where, key, maximum);
  }
  return static_cast<std::int64_t>(value.get<std::uint64_t>());
}

}  // namespace tigerbot
