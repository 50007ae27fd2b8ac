#include "serve/api/fields.h"

#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "serve/api/error.h"

namespace tigerbot::serve {

namespace {

constexpr int kMaxDepth = 64;

[[noreturn]] void wrong_kind(const std::string& param, std::string_view wanted,
                             const OrderedJson& found) {
  refuse_parameter(param, "'{}' must be {}, not {}", param, wanted, kind_of(found));
}

}  // namespace

std::string_view kind_of(const OrderedJson& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null:
      return "null";
    case nlohmann::json::value_t::object:
      return "an object";
    case nlohmann::json::value_t::array:
      return "an array";
    case nlohmann::json::value_t::string:
      return "a string";
    case nlohmann::json::value_t::boolean:
      return "true or false";
    case nlohmann::json::value_t::number_float:
      return "a number";
    default:
      return "an integer";
  }
}

OrderedJson parse_body(const std::string& body) {
  if (trim(body).empty()) {
    throw ApiError(400, "invalid_request_error", "the request has no body; it must be JSON");
  }
  try {
    // Checks depth and equal keys, which the ordered parser takes as they come; the order of keys
    // matters to templates.
    parse_json(body, "body", {.max_depth = kMaxDepth});
    return OrderedJson::parse(body);
  } catch (const Error& error) {
    throw ApiError(400, "invalid_request_error", error.what());
  } catch (const nlohmann::json::exception& error) {
    throw ApiError(400, "invalid_request_error", "body: not valid JSON");
  }
}

Fields::Fields(const OrderedJson& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (object.is_object()) return;
  if (where_.empty()) {
    throw ApiError(400, "invalid_request_error",
                   fmt::format("the body must be an object, not {}", kind_of(object)));
  }
  wrong_kind(where_, "an object", object);
}

std::string Fields::path(std::string_view key) const {
  return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
}

const OrderedJson* Fields::find(std::string_view key) {
  known_.emplace(key);
  const auto at = object_.find(std::string(key));
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

const OrderedJson& Fields::get(std::string_view key) {
  const OrderedJson* value = find(key);
  if (value == nullptr) {
    throw ApiError(400, "invalid_request_error",
                   fmt::format("you must provide the parameter '{}'", path(key)), path(key),
                   "missing_required_parameter");
  }
  return *value;
}

std::optional<bool> Fields::boolean(std::string_view key) {
  const OrderedJson* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong_kind(path(key), "true or false", *value);
  return value->get<bool>();
}

std::optional<std::string> Fields::text(std::string_view key) {
  const OrderedJson* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong_kind(path(key), "a string", *value);
  return value->get<std::string>();
}

std::optional<double> Fields::number(std::string_view key, double least, double most) {
  const OrderedJson* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong_kind(path(key), "a number", *value);
  const auto number = value->get<double>();
  if (!std::isfinite(number) || number < least || number > most) {
    refuse_parameter(path(key), "'{}' must be from {} to {}, not {}", path(key), least, most,
                     value->dump());
  }
  return number;
}

std::optional<std::int64_t> Fields::integer(std::string_view key, std::int64_t least,
                                            std::int64_t most) {
  const OrderedJson* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) wrong_kind(path(key), "an integer", *value);
  const bool fits =
      value->is_number_unsigned() ? std::in_range<std::int64_t>(value->get<std::uint64_t>()) : true;
  if (!fits || value->get<std::int64_t>() < least || value->get<std::int64_t>() > most) {
    refuse_parameter(path(key), "'{}' must be from {} to {}, not {}", path(key), least, most,
                     value->dump());
  }
  return value->get<std::int64_t>();
}

void Fields::refuse(std::string_view key, const std::string& why) {
  if (find(key) != nullptr) refuse_unsupported(path(key), why);
}

void Fields::finish() const {
  for (const auto& [key, value] : object_.items()) {
    if (known_.contains(key)) continue;
    const std::vector<std::string> names(known_.begin(), known_.end());
    const std::string shown = quote(key);
    throw ApiError(400, "invalid_request_error",
                   fmt::format("unknown parameter {}{}", shown, did_you_mean(key, names)),
                   path(shown.substr(1, shown.size() - 2)), "unknown_parameter");
  }
}

}  // namespace tigerbot::serve
