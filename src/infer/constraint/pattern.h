#pragma once

#include <string>
#include <string_view>

#include "infer/constraint/code_points.h"
#include "infer/constraint/expression.h"

namespace tigerbot::constraint {

enum class PatternMatch {
  kWhole,   ///< the text as a whole
  kSearch,  ///< somewhere in the text, as JSON Schema's "pattern" is meant
};
enum class PatternReading {
  kNarrow,  ///< texts that match in every dialect
  kWide,    ///< texts that may match in some dialect: to be excluded by complement()
};

/// The texts that a regular expression matches; see parse_pattern for what it may hold. Look-ahead
/// must not stand within a group that something follows, anchors not in the middle.
ExprId pattern_expression(ExpressionPool& pool, std::string_view pattern, PatternMatch match,
                          PatternReading reading, Spelling spelling, const std::string& where);

}  // namespace tigerbot::constraint
