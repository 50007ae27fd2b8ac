#include "base/toml.h"

#include <toml++/toml.h>

#include <sstream>
#include <string>
#include <utility>

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

toml::table to_table(const Json& object);
toml::array to_array(const Json& list);

/// Calls `put` with the node of a value; a null is no node.
template <typename Put>
void with_node(const Json& value, const Put& put) {
  switch (value.type()) {
    case Json::value_t::object:
      put(to_table(value));
      break;
    case Json::value_t::array:
      put(to_array(value));
      break;
    case Json::value_t::string:
      put(value.get<std::string>());
      break;
    case Json::value_t::boolean:
      put(value.get<bool>());
      break;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      put(value.get<std::int64_t>());
      break;
    case Json::value_t::number_float:
      put(value.get<double>());
      break;
    default:
      break;
  }
}

toml::table to_table(const Json& object) {
  toml::table table;
  for (const auto& [key, value] : object.items()) {
    with_node(value, [&table, &name = key](auto&& node) {
      table.insert_or_assign(name, std::forward<decltype(node)>(node));
    });
  }
  return table;
}

toml::array to_array(const Json& list) {
  toml::array array;
  for (const Json& entry : list) {
    with_node(entry, [&](auto&& node) { array.push_back(std::forward<decltype(node)>(node)); });
  }
  return array;
}

}  // namespace

std::string format_toml(const Json& table) {
  std::ostringstream out;
  out << toml::toml_formatter(to_table(table), toml::toml_formatter::default_flags &
                                                   ~toml::format_flags::allow_literal_strings)
      << '\n';
  return out.str();
}

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
