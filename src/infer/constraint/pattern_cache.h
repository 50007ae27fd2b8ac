#pragma once

#include <map>
#include <string>
#include <tuple>

#include "infer/constraint/pattern.h"
#include "infer/constraint/schema_document.h"

namespace tigerbot::constraint {

/// The patterns of a schema, each compiled once: large schemas repeat them.
class PatternCache {
 public:
  PatternCache(ExpressionPool& pool, const SchemaDocument& document, Spelling spelling)
      : pool_(pool), document_(document), spelling_(spelling) {}

  /// `from`, which may be null, is where an Error says that the pattern stands.
  ExprId find(std::string_view pattern, PatternMatch match, PatternReading reading,
              const Schema* from) {
    const auto key = std::tuple(std::string(pattern), match, reading);
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    const std::string where = from == nullptr ? "schema" : document_.where(*from);
    const ExprId id = pattern_expression(pool_, pattern, match, reading, spelling_, where);
    known_.emplace(key, id);
    return id;
  }

 private:
  ExpressionPool& pool_;
  const SchemaDocument& document_;
  Spelling spelling_;
  std::map<std::tuple<std::string, PatternMatch, PatternReading>, ExprId> known_;
};

}  // namespace tigerbot::constraint
