// Whether a value meets an alternative, and whether two alternatives exclude each other.

#include <algorithm>

#include "base/utf8.h"
#include "infer/constraint/formats.h"
#include "infer/constraint/schema_reader.h"

namespace tigerbot::constraint {

namespace {

using Answer = SchemaReader::Answer;

constexpr int kMaxDepth = 3;

/// Both hold.
Answer both(Answer a, Answer b) { return std::min(a, b); }

bool below(const NumberLimit& upper, const NumberLimit& lower) {
  const int order = compare(upper.value, lower.value);
  return order < 0 || (order == 0 && (upper.exclusive || lower.exclusive));
}

bool within(const Decimal& value, const NumberLimits& limits) {
  const NumberLimit exact{value, false};
  return !(limits.lower && below(exact, *limits.lower)) &&
         !(limits.upper && below(*limits.upper, exact));
}

bool counts_apart(std::int64_t min_a, std::int64_t max_a, std::int64_t min_b, std::int64_t max_b) {
  return (max_a != kUnlimited && max_a < min_b) || (max_b != kUnlimited && max_b < min_a);
}

bool counted(std::size_t count, std::int64_t min, std::int64_t max) {
  const auto n = static_cast<std::int64_t>(count);
  return n >= min && (max == kUnlimited || n <= max);
}

}  // namespace

Answer SchemaReader::pattern_matches(std::string_view pattern, std::string_view text,
                                     const Schema* from) {
  const auto matches = [&](PatternReading reading) {
    return pool_.matches(patterns_.find(pattern, PatternMatch::kSearch, reading, from), text);
  };
  if (matches(PatternReading::kNarrow)) return Answer::kYes;
  return matches(PatternReading::kWide) ? Answer::kMaybe : Answer::kNo;
}

Answer SchemaReader::string_meets(const std::string& text, const Alternative& alternative) {
  if (!counted(decode_utf8(text).size(), alternative.min_length, alternative.max_length)) {
    return Answer::kNo;
  }
  Answer answer = Answer::kYes;
  for (const std::string& pattern : alternative.patterns) {
    answer = both(answer, pattern_matches(pattern, text, alternative.from));
  }
  for (const std::string& pattern : alternative.excluded_patterns) {
    const Answer matches = pattern_matches(pattern, text, alternative.from);
    answer = both(answer, matches == Answer::kYes  ? Answer::kNo
                          : matches == Answer::kNo ? Answer::kYes
                                                   : Answer::kMaybe);
  }
  for (const std::string& format : alternative.formats) {
    const ExprId whole = patterns_.find(format_pattern(format), PatternMatch::kWhole,
                                        PatternReading::kNarrow, alternative.from);
    // Formats are described in part only, and validators need not check them.
    if (!pool_.matches(whole, text)) answer = both(answer, Answer::kMaybe);
  }
  return answer;
}

Answer SchemaReader::meets_all(const Schema& value, const Conjunction& all, int depth) {
  Answer best = Answer::kNo;
  for (const Alternative& alternative : read(all)) {
    best = std::max(best, meets(value, alternative, depth));
  }
  return best;
}

Answer SchemaReader::meets(const Schema& value, const Alternative& alternative, int depth) {
  const unsigned type = type_of(value);
  if ((alternative.types & type) == 0) return Answer::kNo;
  const auto equal = [&](const Schema& other) { return equal_values(value, other); };
  if (alternative.values &&
      std::none_of(alternative.values->begin(), alternative.values->end(), equal)) {
    return Answer::kNo;
  }
  if (std::any_of(alternative.excluded.begin(), alternative.excluded.end(), equal)) {
    return Answer::kNo;
  }
  if (value.is_number()) {
    const Decimal number = Decimal::from_json(value);
    if (!within(number, alternative.limits)) return Answer::kNo;
    return alternative.multiples.empty() ? Answer::kYes : Answer::kMaybe;
  }
  if (value.is_string()) return string_meets(value.get<std::string>(), alternative);
  if (!value.is_structured()) return Answer::kYes;
  Answer answer = Answer::kYes;
  // The values of an enumeration are small; deeper than this none is looked into.
  constexpr int kMaxValueDepth = 16;
  if (depth > kMaxValueDepth) return Answer::kMaybe;
  if (value.is_array()) {
    if (!counted(value.size(), alternative.min_items, alternative.max_items)) return Answer::kNo;
    if (alternative.unique_items) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          if (equal_values(value[i], value[j])) return Answer::kNo;
        }
      }
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
      for (const ArrayPart& part : alternative.arrays) {
        const SchemaRef schema = i < part.prefix.size() ? part.prefix[i] : part.rest;
        if (schema != nullptr) answer = both(answer, meets_all(value[i], {schema}, depth + 1));
      }
    }
    return answer;
  }
  if (!counted(value.size(), alternative.min_properties, alternative.max_properties)) {
    return Answer::kNo;
  }
  for (const std::string& name : alternative.required) {
    if (!value.contains(name)) return Answer::kNo;
  }
  for (auto item = value.begin(); item != value.end(); ++item) {
    answer = both(answer, meets_all(*item, property(alternative, item.key()), depth + 1));
    if (!alternative.names.empty()) {
      answer = both(answer, meets_all(Schema(item.key()), alternative.names, depth + 1));
    }
  }
  return answer;
}

bool SchemaReader::schemas_disjoint(const Conjunction& a, const Conjunction& b, int depth) {
  // Where schemas refer to themselves, a place that is being read already tells nothing new.
  for (const SchemaRef schema : a) {
    if (std::find(open_.begin(), open_.end(), schema) != open_.end()) return false;
  }
  for (const SchemaRef schema : b) {
    if (std::find(open_.begin(), open_.end(), schema) != open_.end()) return false;
  }
  const std::vector<Alternative> left = read(a);
  const std::vector<Alternative> right = read(b);
  return std::all_of(left.begin(), left.end(), [&](const Alternative& x) {
    return std::all_of(right.begin(), right.end(),
                       [&](const Alternative& y) { return disjoint(x, y, depth + 1); });
  });
}

bool SchemaReader::strings_disjoint(const Alternative& a, const Alternative& b) {
  if (counts_apart(a.min_length, a.max_length, b.min_length, b.max_length)) return true;
  if (a.patterns.empty() || b.patterns.empty()) return false;
  std::vector<ExprId> all;
  for (const Alternative* alternative : {&a, &b}) {
    for (const std::string& pattern : alternative->patterns) {
      all.push_back(
          patterns_.find(pattern, PatternMatch::kSearch, PatternReading::kWide, alternative->from));
    }
  }
  return pool_.both(all) == kNothing;
}

bool SchemaReader::objects_disjoint(const Alternative& a, const Alternative& b, int depth) {
  if (counts_apart(a.min_properties, a.max_properties, b.min_properties, b.max_properties)) {
    return true;
  }
  std::vector<std::string> names = a.required;
  names.insert(names.end(), b.required.begin(), b.required.end());
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return schemas_disjoint(property(a, name), property(b, name), depth);
  });
}

bool SchemaReader::disjoint(const Alternative& a, const Alternative& b, int depth) {
  if (depth > kMaxDepth) return false;
  const unsigned common = a.types & b.types;
  if (common == 0) return true;
  const auto refuses_all = [&](const std::vector<Schema>& values, const Alternative& other) {
    return std::all_of(values.begin(), values.end(), [&](const Schema& value) {
      return meets(value, other, depth + 1) == Answer::kNo;
    });
  };
  if (a.values && refuses_all(*a.values, b)) return true;
  if (b.values && refuses_all(*b.values, a)) return true;
  if ((common & (json_type::kNull | json_type::kBoolean)) != 0) return false;
  if ((common & json_type::kNumber) != 0) {
    const bool apart =
        (a.limits.upper && b.limits.lower && below(*a.limits.upper, *b.limits.lower)) ||
        (b.limits.upper && a.limits.lower && below(*b.limits.upper, *a.limits.lower));
    if (!apart) return false;
  }
  if ((common & json_type::kString) != 0 && !strings_disjoint(a, b)) return false;
  if ((common & json_type::kArray) != 0) {
    const auto first = [](const Alternative& array) {
      Conjunction all;
      for (const ArrayPart& part : array.arrays) {
        const SchemaRef schema = part.prefix.empty() ? part.rest : part.prefix[0];
        if (schema != nullptr) all.push_back(schema);
      }
      return all;
    };
    const bool apart =
        counts_apart(a.min_items, a.max_items, b.min_items, b.max_items) ||
        ((a.min_items > 0 || b.min_items > 0) && schemas_disjoint(first(a), first(b), depth));
    if (!apart) return false;
  }
  return (common & json_type::kObject) == 0 || objects_disjoint(a, b, depth);
}

}  // namespace tigerbot::constraint
