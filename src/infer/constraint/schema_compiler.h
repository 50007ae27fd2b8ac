#pragma once

#include <deque>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "infer/constraint/grammar.h"
#include "infer/constraint/json_text.h"
#include "infer/constraint/pattern_cache.h"
#include "infer/constraint/schema_reader.h"

namespace tigerbot::constraint {

/// Alternatives become expressions, the objects and arrays among them rules.
class SchemaCompiler {
 public:
  explicit SchemaCompiler(std::string_view schema);
  Grammar compile();

 private:
  /// Values that meet all of the schemas.
  ExprId value(const Conjunction& all);
  ExprId alternative(const Alternative& alternative);
  ExprId listed_values(const Alternative& alternative);
  ExprId numbers(const Alternative& alternative, unsigned types);
  ExprId multiples(const Decimal& divisor, const Alternative& alternative);
  /// Without quotation marks. `one_spelling`: as Spelling::kJson writes.
  ExprId string_body(const Alternative& alternative, bool one_spelling);
  ExprId container(const Alternative& alternative, unsigned char opener);

  ExprId array_body(const Alternative& alternative);
  ExprId distinct_items(const Alternative& alternative, const Conjunction& items);

  ExprId object_body(const Alternative& alternative);
  struct Property {
    ExprId pair;  // the key and the value; kNothing if there must be none
    bool required;
  };
  ExprId property_list(const Alternative& alternative, const std::vector<Property>& properties,
                       ExprId extra);
  ExprId extra_properties(const Alternative& alternative, const std::vector<std::string>& names);
  ExprId property_name(const Alternative& alternative);

  SchemaDocument document_;
  SchemaReader reader_;
  Grammar grammar_;
  ExpressionPool& pool_;
  JsonText text_;
  PatternCache patterns_;
  std::map<Conjunction, ExprId> values_;
  std::deque<std::pair<RuleId, Alternative>> pending_;  // rules without a body yet
};

}  // namespace tigerbot::constraint
