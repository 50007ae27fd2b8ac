#include <algorithm>

#include "base/error.h"
#include "infer/constraint/code_points.h"
#include "infer/constraint/pattern_syntax.h"
#include "infer/constraint/schema_compiler.h"

namespace tigerbot::constraint {

namespace {

bool is_false(SchemaRef schema) { return schema->is_boolean() && !schema->get<bool>(); }

/// Whether properties may come that no schema names. One that lists its properties and is silent
/// about others means those.
bool is_open(const Alternative& alternative, std::size_t named) {
  bool lists = !alternative.required.empty();
  for (const ObjectPart& part : alternative.objects) {
    if (part.additional != nullptr || !part.patterns.empty()) return true;
    for (const auto& [name, schema] : part.properties) lists |= !is_false(schema);
  }
  return !lists || alternative.min_properties > static_cast<std::int64_t>(named);
}

}  // namespace

ExprId SchemaCompiler::object_body(const Alternative& alternative) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const ObjectPart& part : alternative.objects) {
    for (const auto& [name, schema] : part.properties) add(name);
  }
  for (const std::string& name : alternative.required) add(name);

  std::vector<Property> properties;
  std::size_t possible = 0;
  for (const std::string& name : names) {
    const bool required = std::find(alternative.required.begin(), alternative.required.end(),
                                    name) != alternative.required.end();
    bool allowed = true;
    if (!alternative.names.empty()) {
      allowed = false;
      for (const Alternative& one : reader_.read(alternative.names)) {
        allowed |= reader_.meets(Schema(name), one) == SchemaReader::Answer::kYes;
      }
    }
    const ExprId meant = allowed ? value(reader_.property(alternative, name)) : kNothing;
    if (meant == kNothing && required) return kNothing;
    properties.push_back({pool_.concat(text_.key(name), meant), required});
    possible += meant != kNothing;
  }
  ExprId extra = kNothing;
  if (is_open(alternative, possible)) extra = extra_properties(alternative, names);
  // The same name twice would be one property: of those that are not listed, one counts.
  const auto most = static_cast<std::int64_t>(possible + (extra != kNothing ? 1 : 0));
  if (alternative.min_properties > most) {
    if (extra == kNothing) return kNothing;
    document_.refuse(*alternative.from,
                     fmt::format("\"minProperties\" is {}, and only {} properties can be told "
                                 "apart; list some under \"properties\"",
                                 alternative.min_properties, most));
  }
  return property_list(alternative, properties, extra);
}

// From the last property to the first: `next` is what may come once a property has been written,
// `pairs` what may come where one has to. Both depend on how many there are already, if that is
// limited.
ExprId SchemaCompiler::property_list(const Alternative& alternative,
                                     const std::vector<Property>& properties, ExprId extra) {
  const std::int64_t min = alternative.min_properties;
  const std::int64_t max = alternative.max_properties;
  const auto required = std::count_if(properties.begin(), properties.end(),
                                      [](const Property& property) { return property.required; });
  const bool counts = min > required || max != kUnlimited;
  const auto n = properties.size();
  if (max != kUnlimited && (required > max || min > max)) return kNothing;
  const std::size_t most = counts ? n : 0;
  const auto allows = [&](std::int64_t count) { return max == kUnlimited || count <= max; };

  std::vector<ExprId> next(most + 1, kNothing);
  std::vector<ExprId> pairs(most + 1, kNothing);
  const ExprId more_extra = pool_.concat(text_.comma, extra);
  for (std::size_t count = 0; count <= most; ++count) {
    const auto have = static_cast<std::int64_t>(count);
    const std::int64_t room = max == kUnlimited ? kUnlimited : max - have;
    const std::int64_t lacking = counts ? std::max<std::int64_t>(min - have, 0) : 0;
    if (room != kUnlimited && room < 0) continue;
    if (lacking <= 1) {
      next[count] = pool_.concat(pool_.repeat(more_extra, lacking, room), text_.gap);
      if (room != 0) {
        const std::int64_t rest = room == kUnlimited ? kUnlimited : room - 1;
        pairs[count] = pool_.concat({extra, pool_.repeat(more_extra, 0, rest), text_.gap});
      }
    }
  }
  bool may_end = true;  // all that are left are optional
  for (std::size_t i = n; i-- > 0;) {
    const Property& property = properties[i];
    may_end &= !property.required;
    std::vector<ExprId> own_next(most + 1, kNothing);
    std::vector<ExprId> own_pairs(most + 1, kNothing);
    for (std::size_t count = 0; count <= most; ++count) {
      if (counts && count > i) continue;
      const auto have = static_cast<std::int64_t>(count);
      std::vector<ExprId> choices;
      const std::size_t then = counts ? count + 1 : 0;
      if (!counts || allows(have + 1)) {
        choices.push_back(pool_.concat(property.pair, next[then]));
      }
      if (!property.required) choices.push_back(pairs[count]);
      own_pairs[count] = pool_.either(choices);
      const bool ends = may_end && (!counts || have >= min);
      own_next[count] =
          pool_.either({pool_.concat(text_.comma, own_pairs[count]), ends ? text_.gap : kNothing});
    }
    next = std::move(own_next);
    pairs = std::move(own_pairs);
  }
  const bool may_be_empty = may_end && min == 0;
  return pool_.either({pool_.concat(text_.gap, pairs[0]), may_be_empty ? text_.gap : kNothing});
}

/// The names that "propertyNames" leaves, without quotation marks.
ExprId SchemaCompiler::property_name(const Alternative& alternative) {
  if (alternative.names.empty()) return pool_.repeat(text_.key_character, 0, kUnlimited);
  std::vector<ExprId> choices;
  for (const Alternative& one : reader_.read(alternative.names)) {
    if ((one.types & json_type::kString) == 0) continue;
    if (!one.values) {
      choices.push_back(string_body(one, /*one_spelling=*/true));
      continue;
    }
    for (const Schema& name : *one.values) {
      if (name.is_string() && reader_.meets(name, one) == SchemaReader::Answer::kYes) {
        choices.push_back(exactly(pool_, name.get_ref<const std::string&>(), Spelling::kJson));
      }
    }
  }
  return pool_.either(choices);
}

// Names that no schema lists, apart by which patterns they match: each kind has its own schemas.
ExprId SchemaCompiler::extra_properties(const Alternative& alternative,
                                        const std::vector<std::string>& names) {
  std::vector<std::string> patterns;
  for (const ObjectPart& part : alternative.objects) {
    for (const auto& [pattern, schema] : part.patterns) {
      if (std::find(patterns.begin(), patterns.end(), pattern) == patterns.end()) {
        patterns.push_back(pattern);
      }
    }
  }
  constexpr std::size_t kMaxPatterns = 8;
  if (patterns.size() > kMaxPatterns) {
    document_.refuse(*alternative.from,
                     fmt::format("\"patternProperties\" of more than {} patterns is not supported",
                                 kMaxPatterns));
  }
  std::vector<ExprId> listed;
  listed.reserve(names.size());
  for (const std::string& name : names) listed.push_back(exactly(pool_, name, Spelling::kJson));
  const ExprId other = pool_.complement(pool_.either(listed));
  const ExprId any_name = property_name(alternative);
  const auto pattern = [&](std::size_t i, PatternReading reading) {
    return patterns_.find(patterns[i], PatternMatch::kSearch, reading, alternative.from);
  };
  std::vector<ExprId> choices;
  for (std::size_t matched = 0; matched < std::size_t{1} << patterns.size(); ++matched) {
    std::vector<ExprId> name{any_name, other};
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      name.push_back((matched >> i & 1U) != 0
                         ? pattern(i, PatternReading::kNarrow)
                         : pool_.complement(pattern(i, PatternReading::kWide)));
    }
    const ExprId key = pool_.both(name);
    if (key == kNothing) continue;
    Conjunction schemas;
    for (const ObjectPart& part : alternative.objects) {
      bool named = false;
      for (const auto& [own, schema] : part.patterns) {
        const auto i = static_cast<std::size_t>(std::find(patterns.begin(), patterns.end(), own) -
                                                patterns.begin());
        if ((matched >> i & 1U) == 0) continue;
        named = true;
        schemas.push_back(schema);
      }
      if (!named && part.additional != nullptr) schemas.push_back(part.additional);
    }
    const ExprId meant = value(schemas);
    choices.push_back(pool_.concat({text_.quoted(key), text_.colon, meant}));
  }
  return pool_.either(choices);
}

}  // namespace tigerbot::constraint
