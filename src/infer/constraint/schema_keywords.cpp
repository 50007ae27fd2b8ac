// The keywords of one schema, each checked.

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "infer/constraint/formats.h"
#include "infer/constraint/schema_reader.h"

namespace tigerbot::constraint {

namespace {

constexpr std::array<std::string_view, 37> kSupported{"$ref",
                                                      "allOf",
                                                      "anyOf",
                                                      "oneOf",
                                                      "not",
                                                      "if",
                                                      "then",
                                                      "else",
                                                      "type",
                                                      "enum",
                                                      "const",
                                                      "minimum",
                                                      "maximum",
                                                      "exclusiveMinimum",
                                                      "exclusiveMaximum",
                                                      "multipleOf",
                                                      "minLength",
                                                      "maxLength",
                                                      "pattern",
                                                      "format",
                                                      "minItems",
                                                      "maxItems",
                                                      "items",
                                                      "prefixItems",
                                                      "additionalItems",
                                                      "minProperties",
                                                      "maxProperties",
                                                      "properties",
                                                      "patternProperties",
                                                      "additionalProperties",
                                                      "propertyNames",
                                                      "required",
                                                      "dependentRequired",
                                                      "dependentSchemas",
                                                      "dependencies",
                                                      "uniqueItems",
                                                      "nullable"};

constexpr std::array<std::string_view, 7> kRefused{
    "contains",         "minContains", "maxContains",  "unevaluatedProperties",
    "unevaluatedItems", "$dynamicRef", "$recursiveRef"};

constexpr std::array<std::string_view, 24> kAnnotations{"$schema",
                                                        "$id",
                                                        "id",
                                                        "$anchor",
                                                        "$dynamicAnchor",
                                                        "$comment",
                                                        "$defs",
                                                        "definitions",
                                                        "$vocabulary",
                                                        "$recursiveAnchor",
                                                        "title",
                                                        "description",
                                                        "default",
                                                        "examples",
                                                        "example",
                                                        "deprecated",
                                                        "readOnly",
                                                        "writeOnly",
                                                        "contentEncoding",
                                                        "contentMediaType",
                                                        "contentSchema",
                                                        "discriminator",
                                                        "externalDocs",
                                                        "xml"};

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A name of the standard that was meant, by one letter more, less or other.
std::optional<std::string_view> misspelled(std::string_view name) {
  const auto close = [&](std::string_view right) {
    if (name == right || right.size() < 4) return false;
    std::size_t front = 0, back = 0;
    const std::size_t shorter = std::min(name.size(), right.size());
    while (front < shorter && name[front] == right[front]) ++front;
    while (back < shorter - front &&
           name[name.size() - 1 - back] == right[right.size() - 1 - back]) {
      ++back;
    }
    // At most two neighbouring letters differ: one wrong, missing, doubled, or a pair swapped.
    return name.size() - front - back <= 2 && right.size() - front - back <= 2 &&
           name.size() + 1 >= right.size() && right.size() + 1 >= name.size();
  };
  for (const std::string_view right : kSupported) {
    if (close(right)) return right;
  }
  return std::nullopt;
}

unsigned type_named(const std::string& name) {
  if (name == "null") return json_type::kNull;
  if (name == "boolean") return json_type::kBoolean;
  if (name == "integer") return json_type::kInteger;
  if (name == "number") return json_type::kNumber;
  if (name == "string") return json_type::kString;
  if (name == "array") return json_type::kArray;
  if (name == "object") return json_type::kObject;
  return 0;
}

class Keywords {
 public:
  Keywords(const SchemaDocument& document, const Schema& schema)
      : document_(document), schema_(schema) {}

  const Schema* find(const char* key) const {
    const auto found = schema_.find(key);
    return found == schema_.end() ? nullptr : &*found;
  }

  [[noreturn]] void wrong(const char* key, const char* wanted) const {
    document_.refuse(schema_, fmt::format("\"{}\" must be {}", key, wanted));
  }

  std::int64_t count(const char* key, std::int64_t fallback) const {
    const Schema* const value = find(key);
    if (value == nullptr) return fallback;
    // 2.0 is a whole number, as JSON Schema sees it.
    if (!value->is_number() || type_of(*value) != json_type::kInteger) {
      wrong(key, "a whole number");
    }
    const double number = value->get<double>();
    if (number < 0) wrong(key, "a whole number of 0 or more");
    return number > 1e15 ? std::int64_t{1'000'000'000'000'000} : static_cast<std::int64_t>(number);
  }

  std::optional<Decimal> number(const char* key) const {
    const Schema* const value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) wrong(key, "a number");
    return Decimal::from_json(*value);
  }

  std::vector<std::string> strings(const char* key, const Schema& list) const {
    if (!list.is_array()) wrong(key, "a list of strings");
    std::vector<std::string> names;
    for (const Schema& name : list) {
      if (!name.is_string()) wrong(key, "a list of strings");
      names.push_back(name.get<std::string>());
    }
    return names;
  }

  std::vector<std::pair<std::string, SchemaRef>> schemas(const char* key) const {
    std::vector<std::pair<std::string, SchemaRef>> named;
    const Schema* const value = find(key);
    if (value == nullptr) return named;
    if (!value->is_object()) wrong(key, "an object of schemas");
    for (auto item = value->begin(); item != value->end(); ++item) {
      named.emplace_back(item.key(), &*item);
    }
    return named;
  }

 private:
  const SchemaDocument& document_;
  const Schema& schema_;
};

void read_numbers(const Keywords& keywords, Alternative& own) {
  const auto limit = [&](const char* inclusive, const char* exclusive) {
    std::optional<NumberLimit> result;
    const Schema* const strict = keywords.find(exclusive);
    // Draft 4 has true and false here, which change the other keyword.
    const bool is_flag = strict != nullptr && strict->is_boolean();
    if (const auto value = keywords.number(inclusive)) {
      result = {*value, is_flag && strict->get<bool>()};
    }
    if (strict != nullptr && !is_flag) {
      const NumberLimit other{*keywords.number(exclusive), true};
      const int sign = std::string_view(inclusive) == "minimum" ? 1 : -1;
      if (!result || sign * compare(other.value, result->value) >= 0) result = other;
    }
    return result;
  };
  own.limits.lower = limit("minimum", "exclusiveMinimum");
  own.limits.upper = limit("maximum", "exclusiveMaximum");
  if (const auto divisor = keywords.number("multipleOf")) {
    if (divisor->negative || divisor->is_zero()) keywords.wrong("multipleOf", "above 0");
    own.multiples.push_back(*divisor);
  }
}

void read_strings(const Keywords& keywords, const SchemaDocument& document, const Schema& schema,
                  Alternative& own) {
  own.min_length = keywords.count("minLength", 0);
  own.max_length = keywords.count("maxLength", kUnlimited);
  if (const Schema* const pattern = keywords.find("pattern")) {
    if (!pattern->is_string()) keywords.wrong("pattern", "a string");
    own.patterns.push_back(pattern->get<std::string>());
  }
  const Schema* const format = keywords.find("format");
  if (format == nullptr) return;
  if (!format->is_string()) keywords.wrong("format", "a string");
  const auto name = format->get<std::string>();
  switch (kind_of_format(name)) {
    case FormatKind::kString:
      own.formats.push_back(name);
      break;
    case FormatKind::kInteger: {
      const auto limits = *intersect(own, integer_format(name));
      own.limits = limits.limits;
      break;
    }
    case FormatKind::kAnnotation:
      break;
    case FormatKind::kUnknown:
      document.refuse(schema, fmt::format("\"format\": {} cannot be kept; known are {}",
                                          quote(name, 40), known_formats()));
  }
}

void read_arrays(const Keywords& keywords, Alternative& own) {
  own.min_items = keywords.count("minItems", 0);
  own.max_items = keywords.count("maxItems", kUnlimited);
  ArrayPart part;
  const Schema* prefix = keywords.find("prefixItems");
  const Schema* rest = keywords.find("items");
  if (rest != nullptr && rest->is_array()) {  // before draft 2020-12
    prefix = rest;
    rest = keywords.find("additionalItems");
  }
  if (prefix != nullptr) {
    if (!prefix->is_array()) keywords.wrong("prefixItems", "a list of schemas");
    for (const Schema& item : *prefix) part.prefix.push_back(&item);
  }
  part.rest = rest;
  if (prefix != nullptr || rest != nullptr) own.arrays.push_back(std::move(part));
  if (const Schema* const unique = keywords.find("uniqueItems")) {
    if (!unique->is_boolean()) keywords.wrong("uniqueItems", "true or false");
    own.unique_items = unique->get<bool>();
  }
}

void read_objects(const Keywords& keywords, Alternative& own) {
  own.min_properties = keywords.count("minProperties", 0);
  own.max_properties = keywords.count("maxProperties", kUnlimited);
  ObjectPart part{keywords.schemas("properties"), keywords.schemas("patternProperties"),
                  keywords.find("additionalProperties")};
  if (!part.properties.empty() || !part.patterns.empty() || part.additional != nullptr) {
    own.objects.push_back(std::move(part));
  }
  if (const Schema* const required = keywords.find("required"); required != nullptr) {
    // Draft 3 has a flag here, on the property itself.
    if (required->is_boolean()) keywords.wrong("required", "a list of property names");
    for (std::string& name : keywords.strings("required", *required)) {
      if (std::find(own.required.begin(), own.required.end(), name) == own.required.end()) {
        own.required.push_back(std::move(name));
      }
    }
  }
  if (const Schema* const names = keywords.find("propertyNames")) own.names.push_back(names);
}

}  // namespace

bool is_assertion(std::string_view keyword) {
  return is_one_of(kSupported, keyword) || is_one_of(kRefused, keyword);
}

void SchemaReader::check_keywords(const Schema& schema) {
  for (auto item = schema.begin(); item != schema.end(); ++item) {
    const std::string& key = item.key();
    if (is_one_of(kSupported, key) || is_one_of(kAnnotations, key)) continue;
    if (is_one_of(kRefused, key)) {
      if (key.starts_with("unevaluated") && item->is_boolean() && item->get<bool>()) continue;
      document_.refuse(schema, fmt::format("\"{}\" is not supported", key));
    }
    // The standard makes any other key a note that says nothing of values.
    if (const auto meant = misspelled(key)) {
      document_.refuse(schema,
                       fmt::format("\"{}\" is no keyword; do you mean \"{}\"?", key, *meant));
    }
  }
  if (const auto nullable = schema.find("nullable");
      nullable != schema.end() && *nullable != Schema(false)) {
    document_.refuse(schema,
                     "\"nullable\" is OpenAPI 3.0's; write \"type\": [TYPE, \"null\"] instead");
  }
}

Alternative SchemaReader::own_keywords(const Schema& schema) {
  check_keywords(schema);
  const Keywords keywords(document_, schema);
  Alternative own;
  own.from = &schema;
  if (const Schema* const type = keywords.find("type")) {
    own.types = 0;
    const Schema list = type->is_array() ? *type : Schema::array({*type});
    for (const std::string& name : keywords.strings("type", list)) {
      const unsigned bits = type_named(name);
      if (bits == 0) {
        document_.refuse(schema, fmt::format("\"type\": {} is none of null, boolean, integer, "
                                             "number, string, array and object",
                                             quote(name, 40)));
      }
      own.types |= bits;
    }
  }
  Alternative values;
  if (const Schema* const list = keywords.find("enum")) {
    if (!list->is_array()) keywords.wrong("enum", "a list of values");
    values.values.emplace(list->begin(), list->end());
  }
  Alternative constant;
  if (const Schema* const value = keywords.find("const")) {
    constant.values.emplace({*value});
  }
  read_numbers(keywords, own);
  read_strings(keywords, document_, schema, own);
  read_arrays(keywords, own);
  read_objects(keywords, own);
  for (const Alternative& other : {values, constant}) {
    if (!other.values) continue;
    if (auto both = intersect(own, other)) {
      own = std::move(*both);
    } else {
      own.types = 0;
    }
  }
  return own;
}

}  // namespace tigerbot::constraint
