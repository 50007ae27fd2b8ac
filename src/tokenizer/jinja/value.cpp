#include "tokenizer/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace tigerbot::jinja {

namespace {

constexpr std::int32_t kMaxDepth = 200;
constexpr std::int64_t kMaxNodes = 4'000'000;

/// The extent of a container, from its parts.
class ExtentSum {
 public:
  void add(const Extent& part) {
    depth_ = std::max(depth_, part.depth);
    nodes_ += part.nodes;
    if (nodes_ > kMaxNodes) fail("chat template: a value of more than {} parts", kMaxNodes);
  }
  Extent total() const {
    if (depth_ >= kMaxDepth) fail("chat template: values nested more than {} deep", kMaxDepth);
    return {depth_ + 1, nodes_ + 1};
  }

 private:
  std::int32_t depth_ = 0;
  std::int64_t nodes_ = 0;
};

/// Quotes as Python's repr does: single quotes unless the text holds those and no double ones.
std::string repr_string(const std::string& text) {
  const bool has_single = text.find('\'') != std::string::npos;
  const bool has_double = text.find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string result(1, quote);
  for (const char32_t c : code_points(text)) {
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      result += '\\';
      result += static_cast<char>(c);
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\r') {
      result += "\\r";
    } else if (c == '\t') {
      result += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else if (!is_printable(c)) {
      const auto code = static_cast<unsigned>(c);
      result += code <= 0xff     ? fmt::format("\\x{:02x}", code)
                : code <= 0xffff ? fmt::format("\\u{:04x}", code)
                                 : fmt::format("\\U{:08x}", code);
    } else {
      append_utf8(result, c);
    }
  }
  result += quote;
  return result;
}

std::string json_string(const std::string& text) {
  // Invalid UTF-8 must not stop a prompt: it is replaced, as on the way into Python.
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_key(const Value& key) {
  if (key.is_string()) return json_string(key.as_string());
  if (key.is_none() || key.is_bool()) return "\"" + to_json(key) + "\"";
  if (key.is_number()) return "\"" + key.to_string() + "\"";
  fail("chat template: a JSON object's keys must be strings, not {}", key.type_name());
}

void write_json(const Value& value, int indent, int depth, bool sort_keys, std::string& out) {
  const auto new_line = [&](int level) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(indent) * level, ' ');
  };
  const char* separator = indent < 0 ? ", " : ",";
  if (value.is_none()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_integer()) {
    out += std::to_string(value.as_integer());
  } else if (value.is_float()) {
    const double number = value.as_double();
    out += std::isnan(number)   ? "NaN"
           : std::isinf(number) ? (number > 0 ? "Infinity" : "-Infinity")
                                : format_float(number);
  } else if (value.is_string()) {
    out += json_string(value.as_string());
  } else if (value.is_list()) {
    const auto& items = value.as_list().items;
    if (items.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += separator;
      new_line(depth + 1);
      write_json(items[i], indent, depth + 1, sort_keys, out);
    }
    new_line(depth);
    out += ']';
  } else if (value.is_dict()) {
    auto items = value.as_dict().items;
    if (items.empty()) {
      out += "{}";
      return;
    }
    if (sort_keys) {
      std::stable_sort(items.begin(), items.end(),
                       [](const auto& a, const auto& b) { return less(a.first, b.first); });
    }
    out += '{';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += separator;
      new_line(depth + 1);
      out += json_key(items[i].first) + ": ";
      write_json(items[i].second, indent, depth + 1, sort_keys, out);
    }
    new_line(depth);
    out += '}';
  } else {
    fail("chat template: tojson can't write {}", value.type_name());
  }
}

}  // namespace

Extent extent_of(const std::vector<Value>& items) {
  ExtentSum sum;
  for (const Value& item : items) sum.add(item.extent());
  return sum.total();
}

const Value* Dict::find(const Value& key) const {
  for (const auto& [k, v] : items) {
    if (k == key) return &v;
  }
  return nullptr;
}

void Dict::set(const Value& key, Value value) {
  for (auto& [k, v] : items) {
    if (k == key) {
      v = std::move(value);
      return;
    }
  }
  items.emplace_back(key, std::move(value));
}

const Value* Arguments::find(std::size_t place, std::string_view name) const {
  if (place < positional.size()) return &positional[place];
  for (const auto& [key, value] : keyword) {
    if (key == name) return &value;
  }
  return nullptr;
}

Value Value::list(std::vector<Value> items) {
  const Extent extent = extent_of(items);
  return Value(std::make_shared<const List>(List{std::move(items), false, extent}));
}

Value Value::tuple(std::vector<Value> items) {
  const Extent extent = extent_of(items);
  return Value(std::make_shared<const List>(List{std::move(items), true, extent}));
}

Value Value::dict(Dict dict) {
  ExtentSum sum;
  for (const auto& [key, item] : dict.items) {
    sum.add(key.extent());
    sum.add(item.extent());
  }
  dict.extent = sum.total();
  return Value(std::make_shared<const Dict>(std::move(dict)));
}

Extent Value::extent() const {
  if (is_list()) return as_list().extent;
  if (is_dict()) return as_dict().extent;
  if (is_callable()) return as_callable().extent;
  return {};
}

Value Value::from_json(const nlohmann::ordered_json& json) {
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::boolean:
      return Value(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer:
      return Value(json.get<std::int64_t>());
    case nlohmann::ordered_json::value_t::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      if (number > static_cast<std::uint64_t>(INT64_MAX)) return Value(static_cast<double>(number));
      return Value(static_cast<std::int64_t>(number));
    }
    case nlohmann::ordered_json::value_t::number_float:
      return Value(json.get<double>());
    case nlohmann::ordered_json::value_t::string:
      return Value(json.get<std::string>());
    case nlohmann::ordered_json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(from_json(item));
      return list(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      Dict result;
      for (const auto& [key, item] : json.items()) {
        result.items.emplace_back(Value(key), from_json(item));
      }
      return dict(std::move(result));
    }
    default:
      return Value(nullptr);
  }
}

std::int64_t Value::as_integer() const {
  return is_bool() ? std::int64_t{as_bool()} : std::get<std::int64_t>(data_);
}

double Value::as_double() const {
  return is_float() ? std::get<double>(data_) : static_cast<double>(as_integer());
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_bool()) return as_bool();
  if (is_integer()) return as_integer() != 0;
  if (is_float()) return as_double() != 0.0;
  if (is_string()) return !as_string().empty();
  if (is_list()) return !as_list().items.empty();
  if (is_dict()) return !as_dict().items.empty();
  return true;
}

std::string Value::type_name() const {
  static constexpr const char* kNames[] = {"undefined", "none", "bool", "int",       "float",
                                           "str",       "list", "dict", "namespace", "function"};
  return kNames[data_.index()];
}

std::string Value::to_string() const {
  if (is_undefined()) return "";
  if (is_string()) return as_string();
  return repr();
}

std::string Value::repr() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "None";
  if (is_bool()) return as_bool() ? "True" : "False";
  if (is_integer()) return std::to_string(as_integer());
  if (is_float()) return format_float(as_double());
  if (is_string()) return repr_string(as_string());
  if (is_list()) {
    const List& list = as_list();
    std::string result = list.is_tuple ? "(" : "[";
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) result += ", ";
      result += list.items[i].repr();
    }
    if (list.is_tuple && list.items.size() == 1) result += ",";
    return result + (list.is_tuple ? ")" : "]");
  }
  if (is_namespace()) return "<Namespace>";  // it may hold itself
  if (is_dict()) {
    const Dict& dict = as_dict();
    std::string result = "{";
    for (std::size_t i = 0; i < dict.items.size(); ++i) {
      if (i > 0) result += ", ";
      result += dict.items[i].first.repr() + ": " + dict.items[i].second.repr();
    }
    return result + "}";
  }
  return "<function " + as_callable().name + ">";
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return a.as_double() == b.as_double();
    return a.as_integer() == b.as_integer();
  }
  if (a.data_.index() != b.data_.index()) return false;
  if (a.is_undefined() || a.is_none()) return true;
  if (a.is_string()) return a.as_string() == b.as_string();
  if (a.is_list()) {
    return a.as_list().is_tuple == b.as_list().is_tuple && a.as_list().items == b.as_list().items;
  }
  if (a.is_dict()) {
    const Dict& x = a.as_dict();
    const Dict& y = b.as_dict();
    if (x.items.size() != y.items.size()) return false;
    return std::all_of(x.items.begin(), x.items.end(), [&](const auto& item) {
      const Value* other = y.find(item.first);
      return other != nullptr && *other == item.second;
    });
  }
  if (a.is_namespace()) return &a.as_namespace() == &b.as_namespace();
  return &a.as_callable() == &b.as_callable();
}

bool less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return a.as_double() < b.as_double();
    return a.as_integer() < b.as_integer();
  }
  // Byte order of UTF-8 is code point order, which is Python's.
  if (a.is_string() && b.is_string()) return a.as_string() < b.as_string();
  if (a.is_list() && b.is_list()) {
    return std::lexicographical_compare(a.as_list().items.begin(), a.as_list().items.end(),
                                        b.as_list().items.begin(), b.as_list().items.end(), less);
  }
  fail("chat template: can't order {} and {}", a.type_name(), b.type_name());
}

std::vector<Value> iterate(const Value& value) {
  if (value.is_undefined()) return {};
  if (value.is_list()) return value.as_list().items;
  std::vector<Value> result;
  if (value.is_dict()) {
    for (const auto& [key, item] : value.as_dict().items) result.push_back(key);
    return result;
  }
  if (value.is_string()) {
    for (const char32_t c : code_points(value.as_string())) {
      std::string character;
      append_utf8(character, c);
      result.emplace_back(std::move(character));
    }
    return result;
  }
  fail("chat template: {} can't be iterated over", value.type_name());
}

std::string to_json(const Value& value, int indent, bool sort_keys) {
  std::string out;
  write_json(value, indent, 0, sort_keys, out);
  return out;
}

std::string format_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  // The shortest digits that read back; Python writes exponents below 1e-4 and from 1e16 on.
  const double magnitude = std::fabs(value);
  char buffer[64];
  if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
    return std::string(buffer, end.ptr);
  }
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string text(buffer, end.ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

}  // namespace tigerbot::jinja
