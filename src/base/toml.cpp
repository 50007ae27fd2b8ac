#include "base/toml.h"

#include <toml++/toml.h>

#include <sstream>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace tigerbot {
namespace {

template <typename T>
std::string as_text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Json to_json(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: {
      Json object = Json::object();
      for (const auto& [key, value] : *node.as_table())
        object[std::string(key.str())] = to_json(value);
      return object;
    }
    case toml::node_type::array: {
      Json array = Json::array();
      for (const auto& value : *node.as_array()) array.push_back(to_json(value));
      return array;
    }
    case toml::node_type::string:
      return node.as_string()->get();
    case toml::node_type::integer:
      return node.as_integer()->get();
    case toml::node_type::floating_point:
      return node.as_floating_point()->get();
    case toml::node_type::boolean:
      return node.as_boolean()->get();
    case toml::node_type::date:
      return as_text(node.as_date()->get());
    case toml::node_type::time:
      return as_text(node.as_time()->get());
    case toml::node_type::date_time:
      return as_text(node.as_date_time()->get());
    default:
      return nullptr;
  }
}

}  // namespace

Json parse_toml(std::string_view text, std::string_view source) {
  try {
    return to_json(toml::parse(text, source));
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    fail("{}:{}:{}: {}", source, at.line, at.column, error.description());
  }
}

Json read_toml_file(const std::filesystem::path& path) {
  return parse_toml(read_file(path, 64 << 20), path.string());
}

}  // namespace tigerbot
