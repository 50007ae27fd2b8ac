#include "infer/constraint/schema_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot::constraint {

namespace {

const Schema* find(const Schema& schema, const char* key) {
  const auto found = schema.find(key);
  return found == schema.end() ? nullptr : &*found;
}

}  // namespace

SchemaReader::SchemaReader(SchemaDocument& document)
    : document_(document), patterns_(pool_, document, Spelling::kPlain) {}

std::vector<Alternative> SchemaReader::cross(const std::vector<Alternative>& a,
                                             const std::vector<Alternative>& b,
                                             const Schema& from) {
  std::vector<Alternative> both;
  for (const Alternative& x : a) {
    for (const Alternative& y : b) {
      if (auto joined = intersect(x, y)) both.push_back(std::move(*joined));
    }
    if (both.size() > kMaxAlternatives) {
      document_.refuse(
          from, fmt::format("has more than {} combinations of alternatives", kMaxAlternatives));
    }
  }
  return both;
}

std::vector<Alternative> SchemaReader::read(const Conjunction& all) {
  std::vector<Alternative> alternatives{Alternative{}};
  for (const SchemaRef schema : all) {
    alternatives = cross(alternatives, read(*schema), *schema);
  }
  return alternatives;
}

std::vector<Alternative> SchemaReader::read(const Schema& schema) {
  if (schema.is_boolean()) {
    if (!schema.get<bool>()) return {};
    Alternative any;
    any.from = &schema;
    return {any};
  }
  if (!schema.is_object()) document_.refuse(schema, "a schema must be an object, true or false");
  if (std::find(open_.begin(), open_.end(), &schema) != open_.end()) {
    document_.refuse(schema, "refers to itself before any object or array begins, without end");
  }
  constexpr std::size_t kMaxOpen = 400;
  if (open_.size() > kMaxOpen) {
    document_.refuse(
        schema, fmt::format("follows more than {} references and alternatives at once", kMaxOpen));
  }
  open_.push_back(&schema);
  struct Close {
    std::vector<const Schema*>& open;
    ~Close() { open.pop_back(); }
  } close{open_};
  return read_object(schema);
}

std::vector<Alternative> SchemaReader::read_object(const Schema& schema) {
  const Alternative own = own_keywords(schema);
  if (own.types == 0) return {};
  std::vector<Alternative> all{own};
  const auto lists = [&](const char* key) -> const Schema* {
    const Schema* const list = find(schema, key);
    if (list != nullptr && (!list->is_array() || list->empty())) {
      document_.refuse(schema, fmt::format("\"{}\" must be a list of schemas", key));
    }
    return list;
  };
  if (const Schema* const reference = find(schema, "$ref")) {
    if (!reference->is_string()) document_.refuse(schema, "\"$ref\" must be a string");
    all = cross(all, read(document_.resolve(reference->get<std::string>(), schema)), schema);
  }
  if (const Schema* const list = lists("allOf")) {
    for (const Schema& part : *list) all = cross(all, read(part), schema);
  }
  if (const Schema* const list = lists("anyOf")) {
    std::vector<Alternative> any;
    for (const Schema& part : *list) {
      for (Alternative& alternative : read(part)) any.push_back(std::move(alternative));
    }
    all = cross(all, any, schema);
  }
  if (const Schema* const needs = find(schema, "dependentRequired")) {
    if (!needs->is_object()) document_.refuse(schema, "\"dependentRequired\" must be an object");
    for (auto item = needs->begin(); item != needs->end(); ++item) {
      all = cross(all, dependency(item.key(), *item, schema), schema);
    }
  }
  for (const char* key : {"dependentSchemas", "dependencies"}) {
    const Schema* const needs = find(schema, key);
    if (needs == nullptr) continue;
    if (!needs->is_object()) document_.refuse(schema, fmt::format("\"{}\" must be an object", key));
    for (auto item = needs->begin(); item != needs->end(); ++item) {
      all = cross(all, dependency(item.key(), *item, schema), schema);
    }
  }
  if (find(schema, "if") != nullptr) all = cross(all, conditional(schema), schema);
  if (const Schema* const part = find(schema, "not")) all = cross_opposite(all, *part, schema);
  if (lists("oneOf") != nullptr) all = read_one_of(schema, all);
  return all;
}

/// What has no property of this name.
Alternative SchemaReader::absent(const std::string& name, const Schema& from) {
  Alternative alternative;
  alternative.from = &from;
  alternative.objects.push_back({{{name, &document_.add(Schema(false), from)}}, {}, nullptr});
  return alternative;
}

std::vector<Alternative> SchemaReader::dependency(const std::string& name, const Schema& needs,
                                                  const Schema& schema) {
  std::vector<Alternative> present;
  if (needs.is_array()) {
    Alternative required;
    required.from = &schema;
    for (const Schema& other : needs) {
      if (!other.is_string()) document_.refuse(schema, "a dependency must be a list of names");
      required.required.push_back(other.get<std::string>());
    }
    present.push_back(required);
  } else {
    present = read(needs);
  }
  present.push_back(absent(name, schema));
  return present;
}

std::vector<Alternative> SchemaReader::conditional(const Schema& schema) {
  const Schema& condition = *find(schema, "if");
  const Schema* const then = find(schema, "then");
  const Schema* const otherwise = find(schema, "else");
  if (then == nullptr && otherwise == nullptr) return {Alternative{}};
  std::vector<Alternative> holds = read(condition);
  if (then != nullptr) holds = cross(holds, read(*then), schema);
  std::vector<Alternative> fails = negated(condition);
  if (otherwise != nullptr) fails = cross(fails, read(*otherwise), schema);
  holds.insert(holds.end(), fails.begin(), fails.end());
  return holds;
}

std::vector<Alternative> SchemaReader::read_one_of(const Schema& schema,
                                                   const std::vector<Alternative>& base) {
  const Schema& list = *find(schema, "oneOf");
  std::vector<std::vector<Alternative>> choices;
  for (const Schema& part : list) choices.push_back(cross(base, read(part), schema));
  std::vector<Alternative> all;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    // What the others do not take as well.
    std::vector<Alternative> own = choices[i];
    for (std::size_t j = 0; j < choices.size() && !own.empty(); ++j) {
      if (i == j) continue;
      const bool apart = std::all_of(own.begin(), own.end(), [&](const Alternative& a) {
        return std::all_of(choices[j].begin(), choices[j].end(),
                           [&](const Alternative& b) { return disjoint(a, b); });
      });
      if (apart) continue;
      try {
        own = cross_opposite(own, list[j], schema);
      } catch (const Error& error) {
        document_.refuse(schema,
                         fmt::format("\"oneOf\": the alternatives {} and {} may both hold, and it "
                                     "cannot be written so that only one does; use \"anyOf\" ({})",
                                     std::min(i, j) + 1, std::max(i, j) + 1, error.what()));
      }
    }
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

Conjunction SchemaReader::property(const Alternative& object, const std::string& name) {
  Conjunction all;
  const auto add = [&](SchemaRef schema) {
    if (std::find(all.begin(), all.end(), schema) == all.end()) all.push_back(schema);
  };
  for (const ObjectPart& part : object.objects) {
    bool named = false;
    for (const auto& [own, schema] : part.properties) {
      if (own != name) continue;
      add(schema);
      named = true;
    }
    for (const auto& [pattern, schema] : part.patterns) {
      const Answer matches = pattern_matches(pattern, name, schema);
      // Where dialects differ, both hold: the schema, and what holds without it.
      if (matches != Answer::kNo) add(schema);
      named |= matches == Answer::kYes;
    }
    if (!named && part.additional != nullptr) add(part.additional);
  }
  return all;
}

}  // namespace tigerbot::constraint
