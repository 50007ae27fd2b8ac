#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "infer/constraint/code_points.h"

namespace tigerbot::constraint {

/// A regular expression as it was written. ECMA-262 and Python disagree on some classes (\d, \w, \s
/// and the dot): `narrow` is what all of them take, `wide` what any of them does.
struct PatternNode {
  enum class Kind { kSet, kConcat, kEither, kRepeat, kStart, kEnd, kAhead, kNotAhead };
  Kind kind = Kind::kConcat;
  CodePoints narrow, wide;         // kSet
  std::vector<PatternNode> parts;  // one for kRepeat and the look-aheads
  std::int64_t min = 0, max = 0;   // kRepeat

  bool has_assertion() const;
};

/// Reads a regular expression: literals, classes, groups, alternatives, repetitions, ^, $ and
/// look-ahead. An Error names anything else (references, look-behind, \b, flags), and a repetition
/// of more than kMaxRepetition. `where` begins messages.
PatternNode parse_pattern(std::string_view pattern, const std::string& where);

inline constexpr std::int64_t kMaxRepetition = 100'000;

}  // namespace tigerbot::constraint
