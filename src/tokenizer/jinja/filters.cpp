#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/text.h"

namespace tigerbot::jinja {

namespace {

using FilterFunction = Value (*)(Context&, const Value&, const Arguments&);

std::string string_argument(const Arguments& arguments, std::size_t place, std::string_view name,
                            std::string otherwise) {
  const Value* value = arguments.find(place, name);
  return value == nullptr || value->is_none() ? std::move(otherwise) : value->to_string();
}

bool bool_argument(const Arguments& arguments, std::size_t place, std::string_view name,
                   bool otherwise) {
  const Value* value = arguments.find(place, name);
  return value == nullptr ? otherwise : value->truthy();
}

std::int64_t integer_argument(const Arguments& arguments, std::size_t place, std::string_view name,
                              std::int64_t otherwise) {
  const Value* value = arguments.find(place, name);
  if (value == nullptr || value->is_none()) return otherwise;
  if (!value->is_integer() && !value->is_bool()) {
    fail("chat template: \"{}\" must be an integer, not {}", name, value->type_name());
  }
  return value->as_integer();
}

/// A value's attribute by a dotted path ("function.name"), as `map` and `selectattr` take it.
Value attribute_path(const Value& value, const std::string& path) {
  Value result = value;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    const bool is_index =
        !part.empty() && part.size() < 10 &&
        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    result = is_index ? get_item(result, Value(std::int64_t{std::atoll(part.c_str())}))
                      : get_attribute(result, part);
    begin = end + 1;
  }
  return result;
}

/// What `sort`, `unique`, `min` and `max` compare: an attribute, without case where they ignore it.
Value sort_key(const Value& value, const std::string& attribute, bool case_sensitive) {
  Value key = attribute.empty() ? value : attribute_path(value, attribute);
  if (!case_sensitive && key.is_string()) return Value(to_lower(key.as_string()));
  return key;
}

Value default_filter(Context&, const Value& input, const Arguments& arguments) {
  const bool missing =
      input.is_undefined() || (bool_argument(arguments, 1, "boolean", false) && !input.truthy());
  if (!missing) return input;
  const Value* value = arguments.find(0, "default_value");
  return value == nullptr ? Value("") : *value;
}

Value length_filter(Context&, const Value& input, const Arguments&) {
  if (input.is_string()) {
    return Value(static_cast<std::int64_t>(code_points(input.as_string()).size()));
  }
  if (input.is_dict()) return Value(static_cast<std::int64_t>(input.as_dict().items.size()));
  return Value(static_cast<std::int64_t>(iterate(input).size()));
}

Value tojson_filter(Context& context, const Value& input, const Arguments& arguments) {
  // transformers' own tojson: (value, ensure_ascii, indent, separators, sort_keys).
  const bool ascii = bool_argument(arguments, 0, "ensure_ascii", false);
  const std::int64_t indent = integer_argument(arguments, 1, "indent", -1);
  if (arguments.find(2, "separators") != nullptr && !arguments.find(2, "separators")->is_none()) {
    fail("chat template: tojson's separators are not supported");
  }
  if (indent > 64) fail("chat template: tojson's indent must be at most 64");
  std::string text =
      to_json(input, static_cast<int>(indent), bool_argument(arguments, 3, "sort_keys", false));
  context.charge(text.size());
  if (ascii) {
    std::string escaped;
    for (const char32_t c : code_points(text)) {
      if (c < 0x80) {
        escaped += static_cast<char>(c);
      } else if (c < 0x10000) {
        escaped += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        const auto rest = static_cast<unsigned>(c) - 0x10000;
        escaped +=
            fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
      }
    }
    text = std::move(escaped);
  }
  return Value(std::move(text));
}

Value join_filter(Context& context, const Value& input, const Arguments& arguments) {
  const std::string separator = string_argument(arguments, 0, "d", "");
  const std::string attribute = string_argument(arguments, 1, "attribute", "");
  std::string text;
  bool first = true;
  for (const Value& item : iterate(input)) {
    if (!first) text += separator;
    first = false;
    text += (attribute.empty() ? item : attribute_path(item, attribute)).to_string();
    context.charge(separator.size() + 8);
  }
  context.charge(text.size());
  return Value(std::move(text));
}

Value trim_filter(Context&, const Value& input, const Arguments& arguments) {
  return Value(strip(input.to_string(), string_argument(arguments, 0, "chars", ""), true, true));
}

Value replace_filter(Context& context, const Value& input, const Arguments& arguments) {
  if (input.is_undefined()) fail("chat template: \"{}\" is undefined", input.as_undefined().name);
  return *call_method(context, Value(input.to_string()), "replace", arguments);
}

Value int_filter(Context&, const Value& input, const Arguments& arguments) {
  const std::int64_t otherwise = integer_argument(arguments, 0, "default", 0);
  if (input.is_float()) {
    const double number = input.as_double();
    if (!(std::fabs(number) < 9.2e18)) return Value(otherwise);
    return Value(static_cast<std::int64_t>(number));
  }
  if (input.is_number()) return Value(input.as_integer());
  if (!input.is_string()) return Value(otherwise);
  const std::string text = strip(input.as_string(), "", true, true);
  char* end = nullptr;
  errno = 0;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (!text.empty() && *end == '\0' && errno == 0) return Value(std::int64_t{number});
  const double real = std::strtod(text.c_str(), &end);
  if (!text.empty() && *end == '\0' && std::fabs(real) < 9.2e18) {
    return Value(static_cast<std::int64_t>(real));
  }
  return Value(otherwise);
}

Value float_filter(Context&, const Value& input, const Arguments& arguments) {
  if (input.is_number()) return Value(input.as_double());
  if (input.is_string()) {
    const std::string text = strip(input.as_string(), "", true, true);
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (!text.empty() && *end == '\0') return Value(number);
  }
  const Value* otherwise = arguments.find(0, "default");
  return otherwise == nullptr ? Value(0.0) : *otherwise;
}

Value round_filter(Context&, const Value& input, const Arguments& arguments) {
  if (!input.is_number()) fail("chat template: round needs a number, not {}", input.type_name());
  const auto precision =
      std::clamp<std::int64_t>(integer_argument(arguments, 0, "precision", 0), -300, 300);
  const std::string method = string_argument(arguments, 1, "method", "common");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.as_double() * scale;
  if (method == "ceil") return Value(std::ceil(scaled) / scale);
  if (method == "floor") return Value(std::floor(scaled) / scale);
  return Value(std::nearbyint(scaled) / scale);
}

Value abs_filter(Context&, const Value& input, const Arguments&) {
  if (!input.is_number()) fail("chat template: abs needs a number, not {}", input.type_name());
  if (input.is_float()) return Value(std::fabs(input.as_double()));
  const std::int64_t number = input.as_integer();
  if (number == std::numeric_limits<std::int64_t>::min()) {
    fail("chat template: a number past 64 bits");
  }
  return Value(number < 0 ? -number : number);
}

Value items_filter(Context&, const Value& input, const Arguments&) {
  if (input.is_undefined()) return Value::list({});
  if (!input.is_dict()) fail("chat template: items needs a dict, not {}", input.type_name());
  std::vector<Value> pairs;
  for (const auto& [key, value] : input.as_dict().items) {
    pairs.push_back(Value::tuple({key, value}));
  }
  return Value::list(std::move(pairs));
}

Value dictsort_filter(Context&, const Value& input, const Arguments& arguments) {
  if (!input.is_dict()) fail("chat template: dictsort needs a dict, not {}", input.type_name());
  const bool case_sensitive = bool_argument(arguments, 0, "case_sensitive", false);
  const bool by_value = string_argument(arguments, 1, "by", "key") == "value";
  const bool reverse = bool_argument(arguments, 2, "reverse", false);
  auto items = input.as_dict().items;
  const auto key = [&](const auto& item) {
    return sort_key(by_value ? item.second : item.first, "", case_sensitive);
  };
  std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
    return reverse ? less(key(b), key(a)) : less(key(a), key(b));
  });
  std::vector<Value> pairs;
  for (const auto& [k, v] : items) pairs.push_back(Value::tuple({k, v}));
  return Value::list(std::move(pairs));
}

Value first_filter(Context&, const Value& input, const Arguments&) {
  const std::vector<Value> items = iterate(input);
  return items.empty() ? Value(Undefined{"first"}) : items.front();
}

Value last_filter(Context&, const Value& input, const Arguments&) {
  const std::vector<Value> items = iterate(input);
  return items.empty() ? Value(Undefined{"last"}) : items.back();
}

Value list_filter(Context& context, const Value& input, const Arguments&) {
  std::vector<Value> items = iterate(input);
  context.charge(items.size() * sizeof(Value));
  return Value::list(std::move(items));
}

Value reverse_filter(Context& context, const Value& input, const Arguments&) {
  std::vector<Value> items = iterate(input);
  context.charge(items.size() * sizeof(Value));
  std::reverse(items.begin(), items.end());
  if (!input.is_string()) return Value::list(std::move(items));
  std::string text;
  for (const Value& item : items) text += item.as_string();
  return Value(std::move(text));
}

Value sort_filter(Context& context, const Value& input, const Arguments& arguments) {
  const bool reverse = bool_argument(arguments, 0, "reverse", false);
  const bool case_sensitive = bool_argument(arguments, 1, "case_sensitive", false);
  const std::string attribute = string_argument(arguments, 2, "attribute", "");
  std::vector<Value> items = iterate(input);
  context.charge(items.size() * 64);
  std::stable_sort(items.begin(), items.end(), [&](const Value& a, const Value& b) {
    const Value x = sort_key(a, attribute, case_sensitive);
    const Value y = sort_key(b, attribute, case_sensitive);
    return reverse ? less(y, x) : less(x, y);
  });
  return Value::list(std::move(items));
}

Value unique_filter(Context& context, const Value& input, const Arguments& arguments) {
  const bool case_sensitive = bool_argument(arguments, 0, "case_sensitive", false);
  const std::string attribute = string_argument(arguments, 1, "attribute", "");
  std::vector<Value> keys;
  std::vector<Value> kept;
  for (const Value& item : iterate(input)) {
    const Value key = sort_key(item, attribute, case_sensitive);
    context.charge(keys.size());
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    keys.push_back(key);
    kept.push_back(item);
  }
  return Value::list(std::move(kept));
}

Value extreme(const Value& input, const Arguments& arguments, bool largest) {
  const bool case_sensitive = bool_argument(arguments, 0, "case_sensitive", false);
  const std::string attribute = string_argument(arguments, 1, "attribute", "");
  Value best(Undefined{largest ? "max" : "min"});
  Value best_key;
  for (const Value& item : iterate(input)) {
    const Value key = sort_key(item, attribute, case_sensitive);
    if (best.is_undefined() || (largest ? less(best_key, key) : less(key, best_key))) {
      best = item;
      best_key = key;
    }
  }
  return best;
}
Value min_filter(Context&, const Value& input, const Arguments& arguments) {
  return extreme(input, arguments, false);
}
Value max_filter(Context&, const Value& input, const Arguments& arguments) {
  return extreme(input, arguments, true);
}

Value sum_filter(Context&, const Value& input, const Arguments& arguments) {
  const std::string attribute = string_argument(arguments, 0, "attribute", "");
  std::int64_t integers = 0;
  double reals = 0;
  bool is_float = false;
  for (const Value& item : iterate(input)) {
    const Value value = attribute.empty() ? item : attribute_path(item, attribute);
    if (!value.is_number()) fail("chat template: sum needs numbers, not {}", value.type_name());
    is_float |= value.is_float();
    reals += value.as_double();
    if (!value.is_float() && __builtin_add_overflow(integers, value.as_integer(), &integers)) {
      fail("chat template: a number past 64 bits");
    }
  }
  return is_float ? Value(reals) : Value(integers);
}

/// The arguments after the first `count`, for the filter or test that they are passed on to.
Arguments after(const Arguments& arguments, std::size_t count) {
  Arguments rest;
  for (std::size_t i = count; i < arguments.positional.size(); ++i) {
    rest.positional.push_back(arguments.positional[i]);
  }
  rest.keyword = arguments.keyword;
  return rest;
}

Value map_filter(Context& context, const Value& input, const Arguments& arguments) {
  std::vector<Value> result;
  if (arguments.positional.empty()) {
    const std::string attribute = string_argument(arguments, 9, "attribute", "");
    if (attribute.empty()) fail("chat template: map needs a filter or an attribute");
    const Value* otherwise = arguments.find(9, "default");
    for (const Value& item : iterate(input)) {
      Value value = attribute_path(item, attribute);
      if (value.is_undefined() && otherwise != nullptr) value = *otherwise;
      result.push_back(std::move(value));
    }
  } else {
    const std::string name = arguments.positional.front().to_string();
    for (const Value& item : iterate(input)) {
      context.charge(8);
      result.push_back(apply_filter(context, name, item, after(arguments, 1)));
    }
  }
  return Value::list(std::move(result));
}

Value choose(Context& context, const Value& input, const Arguments& arguments, bool by_attribute,
             bool keep) {
  std::size_t used = 0;
  std::string attribute;
  if (by_attribute) {
    if (arguments.positional.empty()) fail("chat template: selectattr needs an attribute");
    attribute = arguments.positional[used++].to_string();
  }
  const bool has_test = arguments.positional.size() > used;
  const std::string test = has_test ? arguments.positional[used++].to_string() : "";
  std::vector<Value> kept;
  for (const Value& item : iterate(input)) {
    context.charge(8);
    const Value value = by_attribute ? attribute_path(item, attribute) : item;
    const bool passes =
        has_test ? apply_test(context, test, value, after(arguments, used)) : value.truthy();
    if (passes == keep) kept.push_back(item);
  }
  return Value::list(std::move(kept));
}
Value select_filter(Context& context, const Value& input, const Arguments& arguments) {
  return choose(context, input, arguments, false, true);
}
Value reject_filter(Context& context, const Value& input, const Arguments& arguments) {
  return choose(context, input, arguments, false, false);
}
Value selectattr_filter(Context& context, const Value& input, const Arguments& arguments) {
  return choose(context, input, arguments, true, true);
}
Value rejectattr_filter(Context& context, const Value& input, const Arguments& arguments) {
  return choose(context, input, arguments, true, false);
}

Value groupby_filter(Context& context, const Value& input, const Arguments& arguments) {
  const std::string attribute = string_argument(arguments, 0, "attribute", "");
  std::vector<std::pair<Value, std::vector<Value>>> groups;
  for (const Value& item : iterate(input)) {
    const Value key = attribute_path(item, attribute);
    context.charge(groups.size());
    const auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == key; });
    if (group == groups.end()) {
      groups.push_back({key, {item}});
    } else {
      group->second.push_back(item);
    }
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return less(a.first, b.first); });
  std::vector<Value> result;
  for (auto& [key, items] : groups) {
    result.push_back(Value::tuple({key, Value::list(std::move(items))}));
  }
  return Value::list(std::move(result));
}

Value indent_filter(Context& context, const Value& input, const Arguments& arguments) {
  const Value* width = arguments.find(0, "width");
  std::string margin(4, ' ');
  if (width != nullptr && width->is_string()) {
    margin = width->as_string();
  } else if (width != nullptr) {
    margin.assign(static_cast<std::size_t>(std::clamp<std::int64_t>(
                      integer_argument(arguments, 0, "width", 4), 0, 1024)),
                  ' ');
  }
  const bool first = bool_argument(arguments, 1, "first", false);
  const bool blank = bool_argument(arguments, 2, "blank", false);
  const std::string text = input.to_string();
  std::string result;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (begin > 0) result += '\n';
    const bool indents = begin == 0 ? first : (blank || end > begin);
    if (indents) result += margin;
    result.append(text, begin, end - begin);
    begin = end + 1;
    context.charge(margin.size() + 1);
  }
  context.charge(result.size());
  return Value(std::move(result));
}

Value string_filter(Context&, const Value& input, const Arguments&) {
  return Value(input.to_string());
}
Value safe_filter(Context&, const Value& input, const Arguments&) { return input; }
Value upper_filter(Context&, const Value& input, const Arguments&) {
  return Value(to_upper(input.to_string()));
}
Value lower_filter(Context&, const Value& input, const Arguments&) {
  return Value(to_lower(input.to_string()));
}
Value title_filter(Context&, const Value& input, const Arguments&) {
  return Value(to_title(input.to_string()));
}
Value capitalize_filter(Context&, const Value& input, const Arguments&) {
  return Value(capitalize(input.to_string()));
}

Value escape_filter(Context& context, const Value& input, const Arguments&) {
  std::string result;
  for (const char c : input.to_string()) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&#34;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  context.charge(result.size());
  return Value(std::move(result));
}

Value attr_filter(Context&, const Value& input, const Arguments& arguments) {
  return get_attribute(input, string_argument(arguments, 0, "name", ""));
}

Value format_filter(Context& context, const Value& input, const Arguments& arguments) {
  return *call_method(context, Value(input.to_string()), "%", arguments);
}

const std::map<std::string, FilterFunction, std::less<>>& filters() {
  static const std::map<std::string, FilterFunction, std::less<>> table = {
      {"abs", abs_filter},
      {"attr", attr_filter},
      {"capitalize", capitalize_filter},
      {"count", length_filter},
      {"d", default_filter},
      {"default", default_filter},
      {"dictsort", dictsort_filter},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"first", first_filter},
      {"float", float_filter},
      {"format", format_filter},
      {"groupby", groupby_filter},
      {"indent", indent_filter},
      {"int", int_filter},
      {"items", items_filter},
      {"join", join_filter},
      {"last", last_filter},
      {"length", length_filter},
      {"list", list_filter},
      {"lower", lower_filter},
      {"map", map_filter},
      {"max", max_filter},
      {"min", min_filter},
      {"reject", reject_filter},
      {"rejectattr", rejectattr_filter},
      {"replace", replace_filter},
      {"reverse", reverse_filter},
      {"round", round_filter},
      {"safe", safe_filter},
      {"select", select_filter},
      {"selectattr", selectattr_filter},
      {"sort", sort_filter},
      {"string", string_filter},
      {"sum", sum_filter},
      {"title", title_filter},
      {"tojson", tojson_filter},
      {"trim", trim_filter},
      {"unique", unique_filter},
      {"upper", upper_filter},
  };
  return table;
}

}  // namespace

bool is_filter(std::string_view name) { return filters().find(name) != filters().end(); }

Value apply_filter(Context& context, const std::string& name, const Value& input,
                   const Arguments& arguments) {
  const auto filter = filters().find(name);
  if (filter == filters().end()) fail("chat template: no filter is called \"{}\"", name);
  return filter->second(context, input, arguments);
}

}  // namespace tigerbot::jinja
