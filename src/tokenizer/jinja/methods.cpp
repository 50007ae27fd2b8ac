#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/text.h"

namespace tigerbot::jinja {

namespace {

const std::string& need_string(const Arguments& arguments, std::size_t place,
                               const std::string& method) {
  if (place >= arguments.positional.size() || !arguments.positional[place].is_string()) {
    fail("chat template: \"{}\" needs a string as argument {}", method, place + 1);
  }
  return arguments.positional[place].as_string();
}

std::int64_t count_argument(const Arguments& arguments, std::size_t place, std::string_view name) {
  const Value* value = arguments.find(place, name);
  if (value == nullptr || value->is_none()) return -1;
  if (!value->is_integer()) fail("chat template: \"{}\" must be an integer", name);
  return value->as_integer();
}

std::string replace_all(Context& context, const std::string& text, const std::string& from,
                        const std::string& to, std::int64_t count) {
  std::string result;
  if (from.empty()) {
    // Python puts `to` before each character and at the end.
    const std::u32string characters = code_points(text);
    for (std::size_t i = 0; i <= characters.size(); ++i) {
      if (count < 0 || static_cast<std::int64_t>(i) < count) {
        context.charge(to.size());
        result += to;
      }
      if (i < characters.size()) append_utf8(result, characters[i]);
    }
    return result;
  }
  std::size_t begin = 0;
  while (count != 0) {
    const std::size_t found = text.find(from, begin);
    if (found == std::string::npos) break;
    result.append(text, begin, found - begin);
    context.charge(to.size() + 1);
    result += to;
    begin = found + from.size();
    --count;
  }
  result.append(text, begin, std::string::npos);
  return result;
}

/// str.split and str.rsplit without a separator: on runs of white space.
std::vector<Value> split_blanks(const std::string& text, std::int64_t limit, bool from_right) {
  const std::u32string all = code_points(text);
  std::vector<Value> parts;
  if (!from_right) {
    std::size_t i = 0;
    while (true) {
      while (i < all.size() && is_space(all[i])) ++i;
      if (i >= all.size()) break;
      if (limit >= 0 && static_cast<std::int64_t>(parts.size()) >= limit) {
        parts.emplace_back(strip(to_utf8(std::u32string_view(all).substr(i)), "", false, true));
        break;
      }
      std::size_t end = i;
      while (end < all.size() && !is_space(all[end])) ++end;
      parts.emplace_back(to_utf8(std::u32string_view(all).substr(i, end - i)));
      i = end;
    }
    return parts;
  }
  std::size_t end = all.size();
  while (true) {
    while (end > 0 && is_space(all[end - 1])) --end;
    if (end == 0) break;
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) >= limit) {
      parts.emplace_back(strip(to_utf8(std::u32string_view(all).substr(0, end)), "", true, false));
      break;
    }
    std::size_t begin = end;
    while (begin > 0 && !is_space(all[begin - 1])) --begin;
    parts.emplace_back(to_utf8(std::u32string_view(all).substr(begin, end - begin)));
    end = begin;
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Value> split_on(const std::string& text, const std::string& separator,
                            std::int64_t limit, bool from_right) {
  if (separator.empty()) fail("chat template: split needs a separator that is not empty");
  std::vector<Value> parts;
  if (!from_right) {
    std::size_t begin = 0;
    while (limit != 0) {
      const std::size_t found = text.find(separator, begin);
      if (found == std::string::npos) break;
      parts.emplace_back(text.substr(begin, found - begin));
      begin = found + separator.size();
      --limit;
    }
    parts.emplace_back(text.substr(begin));
    return parts;
  }
  std::size_t end = text.size();
  while (limit != 0 && end >= separator.size()) {
    const std::size_t found = text.rfind(separator, end - separator.size());
    if (found == std::string::npos) break;
    parts.emplace_back(text.substr(found + separator.size(), end - found - separator.size()));
    end = found;
    --limit;
  }
  parts.emplace_back(text.substr(0, end));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

bool matches_end(const std::string& text, const Arguments& arguments, const std::string& method) {
  const auto matches = [&](const Value& value) {
    if (!value.is_string()) fail("chat template: \"{}\" needs a string", method);
    return method == "startswith" ? text.starts_with(value.as_string())
                                  : text.ends_with(value.as_string());
  };
  if (arguments.positional.empty()) fail("chat template: \"{}\" needs a string", method);
  const Value& value = arguments.positional.front();
  if (!value.is_list()) return matches(value);
  const auto& items = value.as_list().items;
  return std::any_of(items.begin(), items.end(), matches);
}

std::int64_t find_characters(const std::string& text, const std::string& part, bool last) {
  const std::size_t found = last ? text.rfind(part) : text.find(part);
  if (found == std::string::npos) return -1;
  return static_cast<std::int64_t>(code_points(std::string_view(text).substr(0, found)).size());
}

/// printf-style formatting, `"%s: %d" % values`.
std::string format_percent(Context& context, const std::string& format,
                           const std::vector<Value>& values) {
  std::string result;
  std::size_t used = 0;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      result += format[i];
      continue;
    }
    if (++i >= format.size()) fail("chat template: a format ends in \"%\"");
    if (format[i] == '%') {
      result += '%';
      continue;
    }
    bool left = false;
    bool zero = false;
    while (i < format.size() && (format[i] == '-' || format[i] == '0')) {
      (format[i] == '-' ? left : zero) = true;
      ++i;
    }
    const auto number = [&] {
      int n = 0;
      while (i < format.size() && format[i] >= '0' && format[i] <= '9') {
        n = std::min(n * 10 + (format[i++] - '0'), 1000);
      }
      return n;
    };
    const int width = number();
    int precision = -1;
    if (i < format.size() && format[i] == '.') {
      ++i;
      precision = number();
    }
    const char conversion = i < format.size() ? format[i] : '\0';
    if (used >= values.size()) fail("chat template: not enough values for a format");
    const Value& value = values[used++];
    std::string text;
    if (conversion == 's' || conversion == 'r') {
      text = conversion == 's' ? value.to_string() : value.repr();
      if (precision >= 0) {
        text = to_utf8(
            std::u32string_view(code_points(text)).substr(0, static_cast<std::size_t>(precision)));
      }
    } else if (value.is_number() && (conversion == 'd' || conversion == 'i')) {
      const double real = value.as_double();
      if (!(std::fabs(real) < 9.2e18)) fail("chat template: a number past 64 bits");
      text =
          std::to_string(value.is_float() ? static_cast<std::int64_t>(real) : value.as_integer());
    } else if (value.is_number() && conversion == 'f') {
      text = fmt::format("{:.{}f}", value.as_double(), precision < 0 ? 6 : precision);
    } else if (value.is_integer() && conversion == 'x') {
      text = fmt::format("{:x}", value.as_integer());
    } else {
      fail("chat template: can't format {} with \"%{}\"", value.type_name(), conversion);
    }
    const auto length = static_cast<int>(code_points(text).size());
    if (length < width) {
      const std::string padding(static_cast<std::size_t>(width - length),
                                zero && !left && conversion != 's' ? '0' : ' ');
      text = left ? text + padding : padding + text;
    }
    context.charge(text.size() + 1);
    result += text;
  }
  return result;
}

/// str.format with `{}`, `{0}` and `{name}`, without format specifications.
std::string format_braces(Context& context, const std::string& format, const Arguments& arguments) {
  std::string result;
  std::size_t next = 0;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
      result += c;
      ++i;
      continue;
    }
    if (c == '}') fail("chat template: a format has a lone \"}}\"");
    if (c != '{') {
      result += c;
      continue;
    }
    const std::size_t end = format.find('}', i);
    if (end == std::string::npos) fail("chat template: a format has a lone \"{{\"");
    const std::string field = format.substr(i + 1, end - i - 1);
    const bool is_number =
        !field.empty() && field.size() < 6 &&
        std::all_of(field.begin(), field.end(), [](char d) { return d >= '0' && d <= '9'; });
    const Value* value = nullptr;
    if (field.empty()) {
      value = arguments.find(next++, "");
    } else if (is_number) {
      value = arguments.find(static_cast<std::size_t>(std::stoi(field)), "");
    } else {
      value = arguments.find(arguments.positional.size(), field);
    }
    if (value == nullptr) fail("chat template: a format has no value for \"{{{}}}\"", field);
    const std::string text = value->to_string();
    context.charge(text.size() + 1);
    result += text;
    i = end;
  }
  return result;
}

std::optional<Value> string_method(Context& context, const std::string& text,
                                   const std::string& name, const Arguments& arguments) {
  context.charge(text.size());
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    std::string characters;
    if (const Value* value = arguments.find(0, "chars"); value != nullptr && !value->is_none()) {
      characters = need_string(arguments, 0, name);
    }
    return Value(strip(text, characters, name != "rstrip", name != "lstrip"));
  }
  if (name == "split" || name == "rsplit") {
    const bool right = name == "rsplit";
    const Value* separator = arguments.find(0, "sep");
    const std::int64_t limit = count_argument(arguments, 1, "maxsplit");
    if (separator != nullptr && !separator->is_none() && !separator->is_string()) {
      fail("chat template: \"{}\" needs a string as argument 1", name);
    }
    std::vector<Value> parts = separator == nullptr || separator->is_none()
                                   ? split_blanks(text, limit, right)
                                   : split_on(text, separator->as_string(), limit, right);
    context.charge(parts.size() * sizeof(Value));
    return Value::list(std::move(parts));
  }
  if (name == "splitlines") {
    std::vector<Value> lines;
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = text.find('\n', begin);
      lines.emplace_back(text.substr(begin, end == std::string::npos ? end : end - begin));
      if (end == std::string::npos) break;
      begin = end + 1;
    }
    context.charge(lines.size() * sizeof(Value));
    return Value::list(std::move(lines));
  }
  if (name == "startswith" || name == "endswith") {
    return Value(matches_end(text, arguments, name));
  }
  if (name == "replace") {
    const std::string& from = need_string(arguments, 0, name);
    const std::string& to = need_string(arguments, 1, name);
    return Value(replace_all(context, text, from, to, count_argument(arguments, 2, "count")));
  }
  if (name == "upper") return Value(to_upper(text));
  if (name == "lower") return Value(to_lower(text));
  if (name == "title") return Value(to_title(text));
  if (name == "capitalize") return Value(capitalize(text));
  if (name == "join") {
    if (arguments.positional.size() != 1) fail("chat template: join needs one list");
    std::string result;
    bool first = true;
    for (const Value& item : iterate(arguments.positional.front())) {
      if (!item.is_string()) fail("chat template: join needs strings, not {}", item.type_name());
      if (!first) result += text;
      first = false;
      result += item.as_string();
      context.charge(text.size() + item.as_string().size());
    }
    return Value(std::move(result));
  }
  if (name == "find" || name == "rfind" || name == "index") {
    const std::int64_t found =
        find_characters(text, need_string(arguments, 0, name), name == "rfind");
    if (found < 0 && name == "index") fail("chat template: substring not found");
    return Value(found);
  }
  if (name == "count") {
    const std::string& part = need_string(arguments, 0, name);
    if (part.empty()) return Value(static_cast<std::int64_t>(code_points(text).size() + 1));
    std::int64_t count = 0;
    for (std::size_t p = text.find(part); p != std::string::npos;
         p = text.find(part, p + part.size())) {
      ++count;
    }
    return Value(count);
  }
  if (name == "removeprefix" || name == "removesuffix") {
    const std::string& part = need_string(arguments, 0, name);
    if (name == "removeprefix") {
      return Value(text.starts_with(part) ? text.substr(part.size()) : text);
    }
    return Value(text.ends_with(part) ? text.substr(0, text.size() - part.size()) : text);
  }
  if (name == "isdigit" || name == "isdecimal" || name == "isnumeric") {
    return Value(!text.empty() && std::all_of(text.begin(), text.end(),
                                              [](char c) { return c >= '0' && c <= '9'; }));
  }
  if (name == "isspace") {
    const std::u32string all = code_points(text);
    return Value(!all.empty() && std::all_of(all.begin(), all.end(), is_space));
  }
  if (name == "isupper") return Value(to_upper(text) == text && to_lower(text) != text);
  if (name == "islower") return Value(to_lower(text) == text && to_upper(text) != text);
  if (name == "format") return Value(format_braces(context, text, arguments));
  if (name == "%") return Value(format_percent(context, text, arguments.positional));
  return std::nullopt;
}

std::optional<Value> dict_method(Context& context, const Value& object, const std::string& name,
                                 const Arguments& arguments) {
  const Dict& dict = object.as_dict();
  context.charge(dict.items.size());
  if (name == "get") {
    if (arguments.positional.empty()) fail("chat template: get needs a key");
    if (const Value* value = dict.find(arguments.positional.front())) return *value;
    const Value* otherwise = arguments.find(1, "default");
    return otherwise == nullptr ? Value(nullptr) : *otherwise;
  }
  std::vector<Value> result;
  if (name == "items") {
    for (const auto& [key, value] : dict.items) result.push_back(Value::tuple({key, value}));
  } else if (name == "keys") {
    for (const auto& [key, value] : dict.items) result.push_back(key);
  } else if (name == "values") {
    for (const auto& [key, value] : dict.items) result.push_back(value);
  } else if (name == "copy") {
    return object;
  } else {
    return std::nullopt;
  }
  context.charge(result.size() * sizeof(Value));
  return Value::list(std::move(result));
}

std::optional<Value> list_method(const List& list, const std::string& name,
                                 const Arguments& arguments) {
  if (arguments.positional.size() != 1) return std::nullopt;
  const Value& wanted = arguments.positional.front();
  if (name == "index") {
    const auto found = std::find(list.items.begin(), list.items.end(), wanted);
    if (found == list.items.end()) fail("chat template: {} is not in the list", wanted.repr());
    return Value(std::int64_t{found - list.items.begin()});
  }
  if (name == "count") {
    return Value(std::int64_t{std::count(list.items.begin(), list.items.end(), wanted)});
  }
  return std::nullopt;
}

}  // namespace

std::optional<Value> call_method(Context& context, const Value& object, const std::string& name,
                                 const Arguments& arguments) {
  if (object.is_string()) return string_method(context, object.as_string(), name, arguments);
  if (object.is_dict()) return dict_method(context, object, name, arguments);
  if (object.is_list()) return list_method(object.as_list(), name, arguments);
  return std::nullopt;
}

Value get_attribute(const Value& object, const std::string& name) {
  const Dict* attributes = object.is_dict()        ? &object.as_dict()
                           : object.is_namespace() ? &object.as_namespace().attributes
                           : object.is_callable()  ? &object.as_callable().attributes
                                                   : nullptr;
  if (attributes != nullptr) {
    if (const Value* value = attributes->find(Value(name))) return *value;
  } else if (object.is_undefined()) {
    fail("chat template: \"{}\" is undefined", object.as_undefined().name);
  }
  return Value(Undefined{name});
}

Value get_item(const Value& object, const Value& key) {
  if (object.is_dict()) {
    if (const Value* value = object.as_dict().find(key)) return *value;
    return Value(Undefined{key.to_string()});
  }
  if (object.is_undefined()) {
    fail("chat template: \"{}\" is undefined", object.as_undefined().name);
  }
  if (key.is_string()) return get_attribute(object, key.as_string());
  if ((object.is_list() || object.is_string()) && (key.is_integer() || key.is_bool())) {
    std::u32string characters;
    if (object.is_string()) characters = code_points(object.as_string());
    const auto size = static_cast<std::int64_t>(object.is_list() ? object.as_list().items.size()
                                                                 : characters.size());
    std::int64_t index = key.as_integer();
    if (index < 0 && index >= -size) index += size;
    if (index < 0 || index >= size) return Value(Undefined{"item " + key.to_string()});
    const auto place = static_cast<std::size_t>(index);
    if (object.is_list()) return object.as_list().items[place];
    return Value(to_utf8(std::u32string_view(characters).substr(place, 1)));
  }
  return Value(Undefined{key.to_string()});
}

}  // namespace tigerbot::jinja
