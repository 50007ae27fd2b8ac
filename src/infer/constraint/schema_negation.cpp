// What does not meet a schema: an alternative for each keyword that may fail.

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "infer/constraint/schema_reader.h"

namespace tigerbot::constraint {

std::vector<Alternative> SchemaReader::negated(const Schema& schema) {
  if (schema.is_boolean()) {
    if (schema.get<bool>()) return {};
    return {Alternative{}};
  }
  own_keywords(schema);  // checks them
  // A value fails by failing any keyword: one whose failure cannot be written leaves the others.
  std::vector<Alternative> all;
  std::optional<Error> refused;
  for (auto item = schema.begin(); item != schema.end(); ++item) {
    try {
      for (Alternative& alternative : negated_keyword(item.key(), *item, schema)) {
        alternative.from = &schema;
        all.push_back(std::move(alternative));
      }
    } catch (const Error& error) {
      refused = error;
    }
  }
  if (all.empty() && refused) throw *refused;
  if (refused) left_out_ = refused;
  return all;
}

std::vector<Alternative> SchemaReader::cross_opposite(const std::vector<Alternative>& all,
                                                      const Schema& opposite, const Schema& from) {
  left_out_.reset();
  std::vector<Alternative> left = cross(all, negated(opposite), from);
  if (left.empty() && !all.empty() && left_out_) throw Error(*left_out_);
  return left;
}

std::vector<Alternative> SchemaReader::negated_keyword(const std::string& key, const Schema& value,
                                                       const Schema& schema) {
  Alternative other;
  const Alternative own = own_keywords(Schema::object({{key, value}}));
  if (key == "type") {
    other.types = json_type::kAll & ~own.types;
    if (other.types == 0) return {};
    return {other};
  }
  if (key == "enum") {
    other.excluded.assign(value.begin(), value.end());
    return {other};
  }
  if (key == "const") {
    other.excluded = {value};
    return {other};
  }
  if (key == "required") {
    std::vector<Alternative> lacking;
    for (const std::string& name : own.required) {
      lacking.push_back(absent(name, schema));
      lacking.back().types = json_type::kObject;
    }
    return lacking;
  }
  if (key == "properties") {
    std::vector<Alternative> wrong;
    for (auto item = value.begin(); item != value.end(); ++item) {
      Alternative one;
      one.types = json_type::kObject;
      one.required = {item.key()};
      const Schema& opposite = document_.add(Schema::object({{"not", *item}}), schema);
      one.objects.push_back({{{item.key(), &opposite}}, {}, nullptr});
      // The negation may be nothing, or not possible to write: seen now, not when it is used.
      if (!negated(*item).empty()) wrong.push_back(std::move(one));
    }
    return wrong;
  }
  if (key == "pattern") {
    other.types = json_type::kString;
    other.excluded_patterns = own.patterns;
    return {other};
  }
  const auto number = [&](std::optional<NumberLimit> lower, std::optional<NumberLimit> upper) {
    other.types = json_type::kNumber;
    if (lower) lower->exclusive = !lower->exclusive;
    if (upper) upper->exclusive = !upper->exclusive;
    other.limits = {upper, lower};
    return std::vector<Alternative>{other};
  };
  if ((key == "minimum" || key == "exclusiveMinimum" || key == "maximum" ||
       key == "exclusiveMaximum") &&
      !value.is_boolean()) {
    for (const char* flag : {"exclusiveMinimum", "exclusiveMaximum"}) {
      if (schema.contains(flag) && schema[flag].is_boolean()) {
        document_.refuse(schema, "\"not\" around draft 4's exclusive limits is not supported");
      }
    }
    return number(own.limits.lower, own.limits.upper);
  }
  const auto counts = [&](unsigned type, std::int64_t min, std::int64_t max,
                          std::int64_t Alternative::*min_field,
                          std::int64_t Alternative::*max_field) -> std::vector<Alternative> {
    other.types = type;
    if (max != kUnlimited) {
      other.*min_field = max + 1;
      return {other};
    }
    if (min == 0) return {};
    other.*max_field = min - 1;
    return {other};
  };
  if (key == "minLength" || key == "maxLength") {
    return counts(json_type::kString, own.min_length, own.max_length, &Alternative::min_length,
                  &Alternative::max_length);
  }
  if (key == "minItems" || key == "maxItems") {
    return counts(json_type::kArray, own.min_items, own.max_items, &Alternative::min_items,
                  &Alternative::max_items);
  }
  if (key == "minProperties" || key == "maxProperties") {
    return counts(json_type::kObject, own.min_properties, own.max_properties,
                  &Alternative::min_properties, &Alternative::max_properties);
  }
  if (key == "anyOf") {
    std::vector<Alternative> none{Alternative{}};
    for (const Schema& part : value) none = cross(none, negated(part), schema);
    return none;
  }
  if (key == "allOf") {
    std::vector<Alternative> any;
    for (const Schema& part : value) {
      for (Alternative& alternative : negated(part)) any.push_back(std::move(alternative));
    }
    return any;
  }
  if (key == "not") return read(value);
  if (key == "$ref") {
    const Schema& target = document_.resolve(value.get<std::string>(), schema);
    if (std::find(open_.begin(), open_.end(), &target) != open_.end()) {
      document_.refuse(schema, "\"not\" around a schema that refers to itself is not supported");
    }
    open_.push_back(&target);
    struct Close {
      std::vector<const Schema*>& open;
      ~Close() { open.pop_back(); }
    } close{open_};
    return negated(target);
  }
  if (!is_assertion(key) || key.starts_with("exclusive")) return {};
  document_.refuse(schema, fmt::format("\"not\" (or the opposite of \"if\" or \"oneOf\") around "
                                       "\"{}\" is not supported",
                                       key));
}

}  // namespace tigerbot::constraint
