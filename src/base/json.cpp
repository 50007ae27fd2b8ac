#include "base/json.h"

#include <fmt/format.h>

#include <limits>
#include <type_traits>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace tigerbot {
namespace {

/// Builds the document from the parser's events. nlohmann's own builder accepts any depth and
/// silently keeps the last of two equal keys.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text, std::string_view source, const JsonOptions& options)
      : text_(text), source_(source), options_(options) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(Json(nullptr)); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(number_integer_t value) override { return add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(Json(value)); }
  bool number_float(number_float_t value, const string_t&) override { return add(Json(value)); }
  bool string(string_t& value) override { return add(Json(std::move(value))); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(Json(Json::value_t::object)); }
  bool start_array(std::size_t) override { return open(Json(Json::value_t::array)); }
  bool end_object() override {
    open_.pop_back();
    return true;
  }
  bool end_array() override {
    open_.pop_back();
    return true;
  }

  bool key(string_t& name) override {
    auto& object = open_.back()->get_ref<Json::object_t&>();
    const auto [at, inserted] = object.try_emplace(std::move(name));
    if (!inserted && options_.reject_duplicate_keys)
      fail("{}: key {} stands twice in one object", source_, quote(at->first));
    slot_ = &at->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) override {
    // The library's text is "[json.exception.parse_error.101] parse error at line 1, column 2:
    // syntax error while parsing value - unexpected ...; last read: '...'": only the middle helps.
    std::string_view what = error.what();
    if (const auto at = what.find(" - "); at != std::string_view::npos) {
      what.remove_prefix(at + 3);
    } else if (const auto colon = what.rfind(": "); colon != std::string_view::npos) {
      what.remove_prefix(colon + 2);
    }
    if (const auto at = what.find("; last read"); at != std::string_view::npos)
      what = what.substr(0, at);
    std::size_t line = 1, column = 1;
    for (std::size_t k = 0; k + 1 < position && k < text_.size(); ++k) {
      ++column;
      if (text_[k] == '\n') {
        ++line;
        column = 1;
      }
    }
    const std::string near = token.empty() ? "" : fmt::format(" at {}", quote(token, 30));
    fail("{}:{}:{}: not valid JSON{}: {}", source_, line, column, near, clean(what));
  }

 private:
  /// One line without control characters, whatever bytes the message quotes.
  static std::string clean(std::string_view what) {
    std::string out = quote(what, 160);
    return out.substr(1, out.size() - 2);
  }

  Json* add(Json&& value, bool) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.get_ref<Json::array_t&>().push_back(std::move(value));
      return &parent.back();
    }
    *slot_ = std::move(value);
    return slot_;
  }
  bool add(Json&& value) {
    add(std::move(value), true);
    return true;
  }

  bool open(Json&& container) {
    if (static_cast<int>(open_.size()) >= options_.max_depth)
      fail("{}: nested deeper than {} levels", source_, options_.max_depth);
    open_.push_back(add(std::move(container), true));
    return true;
  }

  std::string_view text_, source_;
  const JsonOptions& options_;
  Json root_;
  std::vector<Json*> open_;
  Json* slot_ = nullptr;
};

template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {
  using Element = T;
};

template <typename T>
constexpr std::string_view wanted_name() {
  if constexpr (std::is_same_v<T, bool>)
    return "true or false";
  else if constexpr (std::is_integral_v<T>)
    return "an integer";
  else if constexpr (std::is_floating_point_v<T>)
    return "a number";
  else if constexpr (std::is_same_v<T, std::string>)
    return "a string";
  else
    return "an array";
}

/// What stands there instead: "a string (\"abc\")".
std::string found_text(const Json& value) {
  if (value.is_structured() || value.is_null()) return std::string(json_type_name(value));
  if (value.is_string())
    return fmt::format("a string ({})", quote(value.get_ref<const std::string&>(), 30));
  return value.dump();
}

template <typename T>
T convert(const Json& value, const std::string& place) {
  if constexpr (std::is_same_v<T, Json>) {
    return value;
  } else if constexpr (IsVector<T>::value) {
    if (!value.is_array()) fail("{} must be an array, not {}", place, found_text(value));
    T out;
    out.reserve(value.size());
    for (std::size_t k = 0; k < value.size(); ++k)
      out.push_back(
          convert<typename IsVector<T>::Element>(value[k], fmt::format("{}[{}]", place, k)));
    return out;
  } else {
    const bool fits = std::is_same_v<T, bool>       ? value.is_boolean()
                      : std::is_integral_v<T>       ? value.is_number_integer()
                      : std::is_floating_point_v<T> ? value.is_number()
                                                    : value.is_string();
    if (!fits) fail("{} must be {}, not {}", place, wanted_name<T>(), found_text(value));
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      const bool in_range = value.is_number_unsigned()
                                ? std::in_range<T>(value.template get<std::uint64_t>())
                                : std::in_range<T>(value.template get<std::int64_t>());
      if (!in_range)
        fail("{} must be between {} and {}, not {}", place, std::numeric_limits<T>::min(),
             std::numeric_limits<T>::max(), value.dump());
    }
    return value.template get<T>();
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view source, const JsonOptions& options) {
  Builder builder(text, source, options);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) fail("{}: not valid JSON", source);
  return builder.take();
}

Json read_json_file(const std::filesystem::path& path, const JsonOptions& options,
                    std::uint64_t max_bytes) {
  return parse_json(read_file(path, max_bytes), path.string(), options);
}

std::string_view json_type_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "an integer";
    case Json::value_t::number_float:
      return "a number";
    default:
      return "something else";
  }
}

JsonReader::JsonReader(const Json& value, std::string source, std::string where)
    : value_(&value), source_(std::move(source)), where_(std::move(where)) {
  if (value.is_object()) return;
  const std::string subject = where_.empty() ? source_ : source_ + ": " + where_;
  fail("{} must be an object, not {}", subject, found_text(value));
}

std::string JsonReader::path_of(std::string_view key) const {
  return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
}

std::string JsonReader::place(std::string_view key) const {
  return fmt::format("{}: {}", source_, path_of(key));
}

const Json* JsonReader::look_up(std::string_view key) {
  known_.emplace(key);
  const auto at = value_->find(key);
  return at == value_->end() || at->is_null() ? nullptr : &*at;
}

template <typename T>
std::optional<T> JsonReader::find(std::string_view key) {
  const Json* value = look_up(key);
  if (!value) return std::nullopt;
  return convert<T>(*value, place(key));
}

template <typename T>
T JsonReader::get(std::string_view key) {
  const Json* value = look_up(key);
  if (!value) {
    // A misspelled key is the likely reason, and names the right one.
    std::vector<std::string> present;
    for (const auto& item : value_->items()) present.push_back(item.key());
    const std::string near = nearest_name(key, present);
    fail("{} is missing{}", place(key),
         near.empty() || near == key ? "" : fmt::format("; is \"{}\" a misspelling of it?", near));
  }
  return convert<T>(*value, place(key));
}

template bool JsonReader::get<bool>(std::string_view);
template int JsonReader::get<int>(std::string_view);
template std::int64_t JsonReader::get<std::int64_t>(std::string_view);
template std::uint64_t JsonReader::get<std::uint64_t>(std::string_view);
template float JsonReader::get<float>(std::string_view);
template double JsonReader::get<double>(std::string_view);
template std::string JsonReader::get<std::string>(std::string_view);
template Json JsonReader::get<Json>(std::string_view);
template std::vector<bool> JsonReader::get<std::vector<bool>>(std::string_view);
template std::vector<int> JsonReader::get<std::vector<int>>(std::string_view);
template std::vector<std::int64_t> JsonReader::get<std::vector<std::int64_t>>(std::string_view);
template std::vector<std::uint64_t> JsonReader::get<std::vector<std::uint64_t>>(std::string_view);
template std::vector<float> JsonReader::get<std::vector<float>>(std::string_view);
template std::vector<double> JsonReader::get<std::vector<double>>(std::string_view);
template std::vector<std::string> JsonReader::get<std::vector<std::string>>(std::string_view);
template std::vector<Json> JsonReader::get<std::vector<Json>>(std::string_view);

template std::optional<bool> JsonReader::find<bool>(std::string_view);
template std::optional<int> JsonReader::find<int>(std::string_view);
template std::optional<std::int64_t> JsonReader::find<std::int64_t>(std::string_view);
template std::optional<std::uint64_t> JsonReader::find<std::uint64_t>(std::string_view);
template std::optional<float> JsonReader::find<float>(std::string_view);
template std::optional<double> JsonReader::find<double>(std::string_view);
template std::optional<std::string> JsonReader::find<std::string>(std::string_view);
template std::optional<Json> JsonReader::find<Json>(std::string_view);
template std::optional<std::vector<bool>> JsonReader::find<std::vector<bool>>(std::string_view);
template std::optional<std::vector<int>> JsonReader::find<std::vector<int>>(std::string_view);
template std::optional<std::vector<std::int64_t>> JsonReader::find<std::vector<std::int64_t>>(
    std::string_view);
template std::optional<std::vector<std::uint64_t>> JsonReader::find<std::vector<std::uint64_t>>(
    std::string_view);
template std::optional<std::vector<float>> JsonReader::find<std::vector<float>>(std::string_view);
template std::optional<std::vector<double>> JsonReader::find<std::vector<double>>(std::string_view);
template std::optional<std::vector<std::string>> JsonReader::find<std::vector<std::string>>(
    std::string_view);
template std::optional<std::vector<Json>> JsonReader::find<std::vector<Json>>(std::string_view);

JsonReader JsonReader::object(std::string_view key) {
  const Json* value = look_up(key);
  if (!value) fail("{} is missing", place(key));
  return JsonReader(*value, source_, path_of(key));
}

std::optional<JsonReader> JsonReader::find_object(std::string_view key) {
  const Json* value = look_up(key);
  if (!value) return std::nullopt;
  return JsonReader(*value, source_, path_of(key));
}

std::vector<JsonReader> JsonReader::objects(std::string_view key) {
  const Json* value = look_up(key);
  if (!value) fail("{} is missing", place(key));
  if (!value->is_array()) fail("{} must be an array, not {}", place(key), found_text(*value));
  std::vector<JsonReader> readers;
  for (std::size_t k = 0; k < value->size(); ++k)
    readers.emplace_back((*value)[k], source_, fmt::format("{}[{}]", path_of(key), k));
  return readers;
}

bool JsonReader::has(std::string_view key) const {
  const auto at = value_->find(key);
  return at != value_->end() && !at->is_null();
}

void JsonReader::ignore(std::string_view key) { known_.emplace(key); }

void JsonReader::finish() const {
  const std::vector<std::string> names(known_.begin(), known_.end());
  for (const auto& item : value_->items()) {
    if (known_.contains(item.key())) continue;
    fail("{}: unknown key {}{}{}", source_, quote(item.key()),
         where_.empty() ? "" : fmt::format(" in {}", where_), did_you_mean(item.key(), names));
  }
}

}  // namespace tigerbot
