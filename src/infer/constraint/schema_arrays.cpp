#include <algorithm>
#include <functional>
#include <map>

#include "base/error.h"
#include "infer/constraint/pattern_syntax.h"
#include "infer/constraint/schema_compiler.h"

namespace tigerbot::constraint {

namespace {

Conjunction item_schemas(const Alternative& alternative, std::size_t i) {
  Conjunction all;
  for (const ArrayPart& part : alternative.arrays) {
    const SchemaRef schema = i < part.prefix.size() ? part.prefix[i] : part.rest;
    if (schema != nullptr && std::find(all.begin(), all.end(), schema) == all.end()) {
      all.push_back(schema);
    }
  }
  return all;
}

std::int64_t less(std::int64_t limit, std::int64_t count) {
  return limit == kUnlimited ? kUnlimited : std::max<std::int64_t>(limit - count, 0);
}

}  // namespace

ExprId SchemaCompiler::array_body(const Alternative& alternative) {
  const std::int64_t min = alternative.min_items;
  const std::int64_t max = alternative.max_items;
  if (min > kMaxRepetition) {
    document_.refuse(*alternative.from,
                     fmt::format("\"minItems\" of more than {} is not supported", kMaxRepetition));
  }
  if (max != kUnlimited && max < min) return kNothing;
  if (max == 0) return text_.gap;
  std::size_t prefix = 0;
  for (const ArrayPart& part : alternative.arrays) prefix = std::max(prefix, part.prefix.size());
  if (max != kUnlimited) prefix = std::min(prefix, static_cast<std::size_t>(max));
  if (alternative.unique_items && max != 1) {
    if (prefix > 0) {
      document_.refuse(*alternative.from,
                       "\"uniqueItems\" together with \"prefixItems\" is not supported");
    }
    return distinct_items(alternative, item_schemas(alternative, 0));
  }
  const auto count = static_cast<std::int64_t>(prefix);
  const ExprId rest = value(item_schemas(alternative, prefix));
  const ExprId end = text_.gap;
  const auto tail = [&](std::int64_t have) {
    return pool_.concat(
        pool_.repeat(pool_.concat(text_.comma, rest), less(min, have), less(max, have)), end);
  };
  const ExprId empty = min == 0 ? end : kNothing;
  if (prefix == 0) {
    return pool_.either({empty, pool_.concat({text_.gap, rest, tail(1)})});
  }
  ExprId more = tail(count);
  for (std::int64_t i = count - 1; i > 0; --i) {
    const ExprId item = value(item_schemas(alternative, static_cast<std::size_t>(i)));
    more = pool_.either({pool_.concat({text_.comma, item, more}), i >= min ? end : kNothing});
  }
  return pool_.either(
      {empty, pool_.concat({text_.gap, value(item_schemas(alternative, 0)), more})});
}

// Each value at most once: what has been written is part of the state. Few values come in any
// order; of many, each comes after those that the schema names before it.
ExprId SchemaCompiler::distinct_items(const Alternative& alternative, const Conjunction& items) {
  std::vector<Schema> values;
  for (const Alternative& one : reader_.read(items)) {
    if (!one.values && one.types == json_type::kBoolean && one.excluded.empty()) {
      values.emplace_back(false);
      values.emplace_back(true);
      continue;
    }
    if (!one.values) {
      document_.refuse(*alternative.from,
                       "\"uniqueItems\" is supported for items of an \"enum\" only");
    }
    for (const Schema& value : *one.values) {
      if (reader_.meets(value, one) != SchemaReader::Answer::kYes) continue;
      const bool known = std::any_of(values.begin(), values.end(), [&](const Schema& other) {
        return equal_values(value, other);
      });
      if (!known) values.push_back(value);
    }
  }
  constexpr std::size_t kMaxAnyOrder = 8;
  constexpr std::size_t kMaxValues = 1000;
  if (values.size() > kMaxValues) {
    document_.refuse(*alternative.from,
                     fmt::format("\"uniqueItems\" of an \"enum\" of more than {} values is not "
                                 "supported",
                                 kMaxValues));
  }
  const auto n = values.size();
  const auto max = alternative.max_items == kUnlimited
                       ? static_cast<std::int64_t>(n)
                       : std::min(alternative.max_items, static_cast<std::int64_t>(n));
  const std::int64_t min = alternative.min_items;
  if (min > max) return kNothing;
  std::vector<ExprId> texts;
  texts.reserve(values.size());
  for (const Schema& value : values) texts.push_back(text_.exactly_value(value));
  // `used`: a set of values, or the number of those that may not come any more. `count` stops where
  // it makes no difference.
  const std::int64_t most = max < static_cast<std::int64_t>(n) ? max : min;
  std::map<std::pair<std::size_t, std::int64_t>, ExprId> known;
  const bool any_order = n <= kMaxAnyOrder;
  const std::function<ExprId(std::size_t, std::int64_t)> after = [&](std::size_t used,
                                                                     std::int64_t count) -> ExprId {
    count = std::min(count, most);
    const auto key = std::pair(used, count);
    if (const auto found = known.find(key); found != known.end()) return found->second;
    std::vector<ExprId> choices;
    if (count >= min) choices.push_back(text_.gap);
    const bool full = max < static_cast<std::int64_t>(n) && count >= max;
    for (std::size_t i = any_order ? 0 : used; i < n && !full; ++i) {
      if (any_order && (used >> i & 1U) != 0) continue;
      const std::size_t next = any_order ? used | std::size_t{1} << i : i + 1;
      choices.push_back(pool_.concat({text_.comma, texts[i], after(next, count + 1)}));
    }
    return known[key] = pool_.either(choices);
  };
  std::vector<ExprId> choices;
  if (min == 0) choices.push_back(text_.gap);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t next = any_order ? std::size_t{1} << i : i + 1;
    choices.push_back(pool_.concat({text_.gap, texts[i], after(next, 1)}));
  }
  return pool_.either(choices);
}

}  // namespace tigerbot::constraint
