#include "infer/constraint/schema_alternative.h"

#include <algorithm>

namespace tigerbot::constraint {

namespace {

std::int64_t lower_of(std::int64_t a, std::int64_t b) {
  if (a == kUnlimited) return b;
  return b == kUnlimited ? a : std::min(a, b);
}

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  for (const T& item : from) {
    if constexpr (requires(const T& a, const T& b) { a == b; }) {
      if (std::find(to.begin(), to.end(), item) != to.end()) continue;
    }
    to.push_back(item);
  }
}

bool contains(const std::vector<Schema>& values, const Schema& value) {
  return std::any_of(values.begin(), values.end(),
                     [&](const Schema& other) { return equal_values(value, other); });
}

/// `sign` 1: the larger limit is the stricter one.
void tighten(std::optional<NumberLimit>& limit, const std::optional<NumberLimit>& other, int sign) {
  if (!other) return;
  const int order = limit ? sign * compare(other->value, limit->value) : 1;
  if (order > 0 || (order == 0 && other->exclusive)) limit = other;
}

}  // namespace

unsigned type_of(const Schema& value) {
  switch (value.type()) {
    case Schema::value_t::null:
      return json_type::kNull;
    case Schema::value_t::boolean:
      return json_type::kBoolean;
    case Schema::value_t::number_integer:
    case Schema::value_t::number_unsigned:
      return json_type::kInteger;
    case Schema::value_t::number_float:
      return Decimal::from_json(value).fraction.empty() ? json_type::kInteger
                                                        : json_type::kFraction;
    case Schema::value_t::string:
      return json_type::kString;
    case Schema::value_t::array:
      return json_type::kArray;
    default:
      return json_type::kObject;
  }
}

bool equal_values(const Schema& a, const Schema& b) {
  if (a.is_number() && b.is_number()) return Decimal::from_json(a) == Decimal::from_json(b);
  if (a.type() != b.type()) return false;
  if (!a.is_structured()) return a == b;
  if (a.size() != b.size()) return false;
  if (a.is_array()) return std::equal(a.begin(), a.end(), b.begin(), equal_values);
  for (auto item = a.begin(); item != a.end(); ++item) {
    const auto other = b.find(item.key());
    if (other == b.end() || !equal_values(*item, *other)) return false;
  }
  return true;
}

std::optional<Alternative> intersect(const Alternative& a, const Alternative& b) {
  Alternative both = a;
  both.types &= b.types;
  if (both.values && b.values) {
    std::erase_if(*both.values, [&](const Schema& value) { return !contains(*b.values, value); });
  } else if (b.values) {
    both.values = b.values;
  }
  append(both.excluded, b.excluded);
  if (both.values) {
    std::erase_if(*both.values, [&](const Schema& value) {
      return (type_of(value) & both.types) == 0 || contains(both.excluded, value);
    });
    if (both.values->empty()) return std::nullopt;
  }
  if (both.types == 0) return std::nullopt;
  tighten(both.limits.lower, b.limits.lower, 1);
  tighten(both.limits.upper, b.limits.upper, -1);
  append(both.multiples, b.multiples);
  both.min_length = std::max(a.min_length, b.min_length);
  both.max_length = lower_of(a.max_length, b.max_length);
  append(both.patterns, b.patterns);
  append(both.excluded_patterns, b.excluded_patterns);
  append(both.formats, b.formats);
  both.min_items = std::max(a.min_items, b.min_items);
  both.max_items = lower_of(a.max_items, b.max_items);
  append(both.arrays, b.arrays);
  both.unique_items |= b.unique_items;
  both.min_properties = std::max(a.min_properties, b.min_properties);
  both.max_properties = lower_of(a.max_properties, b.max_properties);
  append(both.objects, b.objects);
  append(both.required, b.required);
  append(both.names, b.names);
  if (both.from == nullptr) both.from = b.from;
  return both;
}

}  // namespace tigerbot::constraint
