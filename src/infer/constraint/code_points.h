#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "infer/constraint/expression.h"

namespace tigerbot::constraint {

/// A set of Unicode characters (surrogates are none), as sorted ranges.
class CodePoints {
 public:
  CodePoints() = default;
  static CodePoints of(char32_t first, char32_t last);
  static CodePoints all();

  void add(const CodePoints& other);
  void add(char32_t first, char32_t last) { add(of(first, last)); }
  CodePoints complement() const;
  CodePoints without(const CodePoints& other) const;

  struct Range {
    char32_t first, last;
  };
  static CodePoints of_ranges(std::vector<Range> ranges);
  const std::vector<Range>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }

 private:
  void normalize();
  std::vector<Range> ranges_;
};

/// How characters stand in an answer.
enum class Spelling {
  kPlain,  ///< as UTF-8
  /// Inside a JSON string: UTF-8 but for the quotation mark, the backslash and control characters,
  /// which are escaped in one way each.
  kJson,
};

/// One character of a set.
ExprId one_of(ExpressionPool& pool, const CodePoints& set, Spelling spelling);
/// Exactly this text (UTF-8).
ExprId exactly(ExpressionPool& pool, std::string_view text, Spelling spelling);

}  // namespace tigerbot::constraint
