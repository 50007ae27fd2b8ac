#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infer/constraint/expression.h"
#include "infer/constraint/numbers.h"
#include "infer/constraint/schema_document.h"

namespace tigerbot::constraint {

/// JSON's types, one bit each. A number that is whole is an integer too.
namespace json_type {
inline constexpr unsigned kNull = 1;
inline constexpr unsigned kBoolean = 2;
inline constexpr unsigned kInteger = 4;
inline constexpr unsigned kFraction = 8;  ///< numbers that are not written as integers
inline constexpr unsigned kString = 16;
inline constexpr unsigned kArray = 32;
inline constexpr unsigned kObject = 64;
inline constexpr unsigned kNumber = kInteger | kFraction;
inline constexpr unsigned kAll = 127;
}  // namespace json_type

using SchemaRef = const Schema*;

/// What one schema says of an array's items. Null: nothing.
struct ArrayPart {
  std::vector<SchemaRef> prefix;
  SchemaRef rest = nullptr;
};

/// What one schema says of an object's properties.
struct ObjectPart {
  std::vector<std::pair<std::string, SchemaRef>> properties;
  std::vector<std::pair<std::string, SchemaRef>> patterns;
  SchemaRef additional = nullptr;  ///< null: nothing is said
};

/// A schema without references and alternatives: a value meets it if it meets every part. Each part
/// speaks of one type only.
struct Alternative {
  unsigned types = json_type::kAll;
  std::optional<std::vector<Schema>> values;  ///< one of these, if given
  std::vector<Schema> excluded;               ///< none of these

  NumberLimits limits;
  std::vector<Decimal> multiples;

  std::int64_t min_length = 0, max_length = kUnlimited;
  std::vector<std::string> patterns, excluded_patterns, formats;

  std::int64_t min_items = 0, max_items = kUnlimited;
  std::vector<ArrayPart> arrays;
  bool unique_items = false;

  std::int64_t min_properties = 0, max_properties = kUnlimited;
  std::vector<ObjectPart> objects;
  std::vector<std::string> required;
  std::vector<SchemaRef> names;  ///< "propertyNames"

  SchemaRef from = nullptr;  ///< for messages

  bool limits_numbers() const { return limits.lower || limits.upper || !multiples.empty(); }
  bool limits_strings() const {
    return min_length > 0 || max_length != kUnlimited || !patterns.empty() ||
           !excluded_patterns.empty() || !formats.empty();
  }
  bool limits_arrays() const {
    return min_items > 0 || max_items != kUnlimited || !arrays.empty() || unique_items;
  }
  bool limits_objects() const {
    return min_properties > 0 || max_properties != kUnlimited || !objects.empty() ||
           !required.empty() || !names.empty();
  }
};

/// What meets both; nothing if no value can.
std::optional<Alternative> intersect(const Alternative& a, const Alternative& b);

/// The type of a value, as one bit.
unsigned type_of(const Schema& value);
/// Equal as JSON Schema means it: 1 and 1.0 are one number.
bool equal_values(const Schema& a, const Schema& b);

}  // namespace tigerbot::constraint
