#include "infer/constraint/schema_compiler.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "infer/constraint/code_points.h"
#include "infer/constraint/formats.h"
#include "infer/constraint/pattern_syntax.h"
#include "infer/constraint/schema_grammar.h"

namespace tigerbot::constraint {

namespace {

/// A schema that speaks of one type without naming it means that type.
unsigned meant_types(const Alternative& alternative) {
  if (alternative.types != json_type::kAll) return alternative.types;
  unsigned meant = 0;
  if (alternative.limits_numbers()) meant |= json_type::kNumber;
  if (alternative.limits_strings()) meant |= json_type::kString;
  if (alternative.limits_arrays()) meant |= json_type::kArray;
  if (alternative.limits_objects()) meant |= json_type::kObject;
  return meant == 0 ? json_type::kAll : meant;
}

bool says_nothing(const Alternative& alternative) {
  return alternative.types == json_type::kAll && !alternative.values &&
         alternative.excluded.empty() && !alternative.limits_numbers() &&
         !alternative.limits_strings() && !alternative.limits_arrays() &&
         !alternative.limits_objects();
}

/// Every way to write one number without an exponent.
ExprId spellings_of(ExpressionPool& pool, const Decimal& value) {
  const ExprId zeros = pool.repeat(pool.byte('0'), 0, kUnlimited);
  const std::string sign = value.negative ? "-" : "";
  const ExprId whole = pool.literal(sign + value.whole);
  if (!value.fraction.empty()) {
    return pool.concat({whole, pool.literal("." + value.fraction), zeros});
  }
  return pool.concat(whole, pool.optional(pool.concat(pool.byte('.'), zeros)));
}

}  // namespace

SchemaCompiler::SchemaCompiler(std::string_view schema)
    : document_(schema),
      reader_(document_),
      pool_(*grammar_.pool),
      text_(grammar_),
      patterns_(pool_, document_, Spelling::kJson) {}

Grammar SchemaCompiler::compile() {
  grammar_.root = value({&document_.root()});
  while (!pending_.empty()) {
    const auto [rule, alternative] = std::move(pending_.front());
    pending_.pop_front();
    Rule& own = grammar_.rules[static_cast<std::size_t>(rule)];
    const ExprId body = own.opener == '{' ? object_body(alternative) : array_body(alternative);
    grammar_.rules[static_cast<std::size_t>(rule)].body = body;
  }
  grammar_.remove_endless();
  if (grammar_.root == kNothing) fail("schema: no value can meet it");
  return std::move(grammar_);
}

ExprId SchemaCompiler::value(const Conjunction& all) {
  if (const auto known = values_.find(all); known != values_.end()) return known->second;
  std::vector<ExprId> choices;
  for (const Alternative& one : reader_.read(all)) choices.push_back(alternative(one));
  const ExprId result = pool_.either(choices);
  values_.emplace(all, result);
  return result;
}

ExprId SchemaCompiler::alternative(const Alternative& alternative) {
  if (says_nothing(alternative)) return text_.any_value();
  if (alternative.values) return listed_values(alternative);
  const unsigned types = meant_types(alternative);
  std::vector<ExprId> choices;
  const auto excluded = [&](const Schema& value) {
    return std::any_of(alternative.excluded.begin(), alternative.excluded.end(),
                       [&](const Schema& other) { return equal_values(value, other); });
  };
  if ((types & json_type::kNull) != 0 && !excluded(nullptr)) {
    choices.push_back(pool_.literal("null"));
  }
  if ((types & json_type::kBoolean) != 0) {
    if (!excluded(true)) choices.push_back(pool_.literal("true"));
    if (!excluded(false)) choices.push_back(pool_.literal("false"));
  }
  if ((types & json_type::kNumber) != 0) choices.push_back(numbers(alternative, types));
  if ((types & json_type::kString) != 0) {
    choices.push_back(text_.quoted(string_body(alternative, /*one_spelling=*/false)));
  }
  const bool structured_excluded = std::any_of(
      alternative.excluded.begin(), alternative.excluded.end(),
      [&](const Schema& value) { return (type_of(value) & types) != 0 && value.is_structured(); });
  if (structured_excluded) {
    document_.refuse(*alternative.from, "\"not\" around an object or array is not supported");
  }
  if ((types & json_type::kArray) != 0) choices.push_back(container(alternative, '['));
  if ((types & json_type::kObject) != 0) choices.push_back(container(alternative, '{'));
  return pool_.either(choices);
}

ExprId SchemaCompiler::listed_values(const Alternative& alternative) {
  std::vector<ExprId> choices;
  for (const Schema& value : *alternative.values) {
    const auto answer = reader_.meets(value, alternative);
    if (answer == SchemaReader::Answer::kNo) continue;
    if (answer == SchemaReader::Answer::kMaybe && alternative.formats.empty()) {
      document_.refuse(*alternative.from, fmt::format("it is not clear whether {} meets the rest "
                                                      "of the schema",
                                                      value.dump()));
    }
    choices.push_back(text_.exactly_value(value));
  }
  return pool_.either(choices);
}

ExprId SchemaCompiler::multiples(const Decimal& divisor, const Alternative& alternative) {
  constexpr std::size_t kMaxDigits = 7;
  std::string digits = divisor.whole + divisor.fraction;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.size() > kMaxDigits) {
    document_.refuse(*alternative.from, fmt::format("\"multipleOf\" of more than {} digits is not "
                                                    "supported",
                                                    kMaxDigits));
  }
  const std::int64_t scaled = std::stoll(digits);
  const auto places = static_cast<std::int64_t>(divisor.fraction.size());
  std::int64_t power = 1;
  for (std::int64_t i = 0; i < places; ++i) power *= 10;
  const ExprId minus = pool_.optional(pool_.byte('-'));
  const ExprId digits_only = pool_.repeat(pool_.range('0', '9'), 1, kMaxWholeDigits);
  const ExprId whole = pool_.concat(
      minus, pool_.both({digits_only, pool_.multiple(scaled / std::gcd(scaled, power))}));
  if (places == 0 || (alternative.types & json_type::kFraction) == 0) return whole;
  // As many places as the divisor has: without the point, a multiple of the divisor's digits.
  const ExprId form = pool_.concat(
      {digits_only, pool_.byte('.'), pool_.repeat(pool_.range('0', '9'), places, places)});
  return pool_.either({whole, pool_.concat(minus, pool_.both({form, pool_.multiple(scaled)}))});
}

ExprId SchemaCompiler::numbers(const Alternative& alternative, unsigned types) {
  const bool may_be_whole = (types & json_type::kInteger) != 0;
  const bool may_be_fraction = (types & json_type::kFraction) != 0;
  std::vector<ExprId> parts;
  for (const Decimal& divisor : alternative.multiples) {
    parts.push_back(multiples(divisor, alternative));
  }
  for (const Schema& value : alternative.excluded) {
    if (value.is_number()) {
      parts.push_back(pool_.complement(spellings_of(pool_, Decimal::from_json(value))));
    }
  }
  NumberLimits limits = alternative.limits;
  if (may_be_fraction && (!parts.empty() || !may_be_whole)) {
    // Without an exponent, so that a number has few spellings.
    const std::int64_t places =
        std::accumulate(alternative.multiples.begin(), alternative.multiples.end(), std::int64_t{6},
                        [](std::int64_t most, const Decimal& divisor) {
                          return std::max(most, static_cast<std::int64_t>(divisor.fraction.size()));
                        });
    parts.push_back(fraction_expression(pool_, places));
  }
  if (!may_be_whole) {
    const ExprId digit = pool_.range('0', '9');
    parts.push_back(
        pool_.concat({pool_.optional(pool_.byte('-')), pool_.repeat(digit, 1, 9), pool_.byte('.'),
                      pool_.repeat(digit, 0, 5), pool_.range('1', '9')}));
  }
  try {
    parts.push_back(may_be_fraction ? number_expression(pool_, limits)
                                    : integer_expression(pool_, limits));
  } catch (const Error& error) {
    document_.refuse(*alternative.from, error.what());
  }
  return pool_.both(parts);
}

ExprId SchemaCompiler::string_body(const Alternative& alternative, bool one_spelling) {
  if (alternative.min_length > kMaxRepetition) {
    document_.refuse(*alternative.from,
                     fmt::format("\"minLength\" of more than {} is not supported", kMaxRepetition));
  }
  std::vector<ExprId> parts;
  const auto pattern = [&](std::string_view text, PatternMatch match, PatternReading reading) {
    return patterns_.find(text, match, reading, alternative.from);
  };
  for (const std::string& text : alternative.patterns) {
    parts.push_back(pattern(text, PatternMatch::kSearch, PatternReading::kNarrow));
  }
  for (const std::string& name : alternative.formats) {
    parts.push_back(pattern(format_pattern(name), PatternMatch::kWhole, PatternReading::kNarrow));
  }
  const bool is_spelled = !parts.empty();  // by what describes the whole string
  for (const std::string& text : alternative.excluded_patterns) {
    parts.push_back(pool_.complement(pattern(text, PatternMatch::kSearch, PatternReading::kWide)));
  }
  for (const Schema& value : alternative.excluded) {
    if (value.is_string()) {
      parts.push_back(
          pool_.complement(exactly(pool_, value.get_ref<const std::string&>(), Spelling::kJson)));
    }
  }
  const bool counted = alternative.min_length > 0 || alternative.max_length != kUnlimited;
  if (!is_spelled || counted) {
    const bool free = parts.empty() && !one_spelling;
    parts.push_back(pool_.repeat(free ? text_.character : text_.key_character,
                                 alternative.min_length, alternative.max_length));
  }
  if (counted && alternative.max_length != kUnlimited &&
      alternative.max_length < alternative.min_length) {
    return kNothing;
  }
  return pool_.both(parts);
}

ExprId SchemaCompiler::container(const Alternative& alternative, unsigned char opener) {
  const auto rule = static_cast<RuleId>(grammar_.rules.size());
  grammar_.rules.push_back({.opener = opener, .body = kNothing});
  pending_.emplace_back(rule, alternative);
  return pool_.container(rule, opener);
}

Grammar schema_grammar(std::string_view schema) { return SchemaCompiler(schema).compile(); }

Grammar json_object_grammar() {
  Grammar grammar;
  JsonText text(grammar);
  grammar.root = text.any_object();
  return grammar;
}

}  // namespace tigerbot::constraint
