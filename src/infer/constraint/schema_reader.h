#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "infer/constraint/pattern_cache.h"
#include "infer/constraint/schema_alternative.h"
#include "infer/constraint/schema_document.h"

namespace tigerbot::constraint {

/// Several schemas that a value has to meet together.
using Conjunction = std::vector<SchemaRef>;

/// Turns schemas into alternatives: references are followed, allOf is joined, anyOf and oneOf are
/// spread out, conditions and negations are written as alternatives. Keywords of the standard that
/// cannot be kept are an Error that names them.
class SchemaReader {
 public:
  explicit SchemaReader(SchemaDocument& document);

  /// What a value that meets all of the schemas may be; none: no value does.
  std::vector<Alternative> read(const Conjunction& all);
  /// No value meets both.
  bool disjoint(const Alternative& a, const Alternative& b, int depth = 0);
  /// What a property's value must meet.
  Conjunction property(const Alternative& object, const std::string& name);

  enum class Answer { kNo, kMaybe, kYes };
  /// Whether a value meets an alternative. kMaybe where regular expressions are read differently,
  /// or a schema around it is deeper than is looked.
  Answer meets(const Schema& value, const Alternative& alternative, int depth = 0);

  SchemaDocument& document() { return document_; }

  static constexpr std::size_t kMaxAlternatives = 512;

 private:
  std::vector<Alternative> read(const Schema& schema);
  std::vector<Alternative> read_object(const Schema& schema);
  Alternative own_keywords(const Schema& schema);
  void check_keywords(const Schema& schema);
  std::vector<Alternative> read_one_of(const Schema& schema, const std::vector<Alternative>& base);
  std::vector<Alternative> conditional(const Schema& schema);
  std::vector<Alternative> dependency(const std::string& name, const Schema& needs,
                                      const Schema& schema);
  std::vector<Alternative> negated(const Schema& schema);
  std::vector<Alternative> negated_keyword(const std::string& key, const Schema& value,
                                           const Schema& schema);
  std::vector<Alternative> cross(const std::vector<Alternative>& a,
                                 const std::vector<Alternative>& b, const Schema& from);
  Alternative absent(const std::string& name, const Schema& from);
  bool strings_disjoint(const Alternative& a, const Alternative& b);
  bool objects_disjoint(const Alternative& a, const Alternative& b, int depth);
  bool schemas_disjoint(const Conjunction& a, const Conjunction& b, int depth);
  Answer meets_all(const Schema& value, const Conjunction& all, int depth);
  /// Whether `text` matches a pattern anywhere: in all dialects (kYes), in none (kNo).
  Answer pattern_matches(std::string_view pattern, std::string_view text, const Schema* from);
  Answer string_meets(const std::string& text, const Alternative& alternative);

  SchemaDocument& document_;
  ExpressionPool pool_;  // of patterns that values are tried against
  PatternCache patterns_;
  /// What `opposite` is left of after all: an Error where only what cannot be written was left.
  std::vector<Alternative> cross_opposite(const std::vector<Alternative>& all,
                                          const Schema& opposite, const Schema& from);

  std::optional<Error> left_out_;    // by negated(): a keyword whose failure cannot be written
  std::vector<const Schema*> open_;  // schemas being read, to find endless references
};

/// Whether a keyword says something of values, by the standard.
bool is_assertion(std::string_view keyword);

}  // namespace tigerbot::constraint
