#pragma once

#include <memory>
#include <vector>

#include "infer/constraint/expression.h"

namespace tigerbot::constraint {

/// The inside of a JSON object or array, between its brackets.
struct Rule {
  unsigned char opener = '{';
  ExprId body = kNothing;

  unsigned char closer() const { return opener == '{' ? '}' : ']'; }
};

/// What a whole answer may be. Because brackets always match, everything between two of them is
/// regular, and an answer is followed by one automaton with one stack (a visibly pushdown
/// automaton; Alur and Madhusudan 2004), however many alternatives are open.
struct Grammar {
  std::unique_ptr<ExpressionPool> pool = std::make_unique<ExpressionPool>();
  std::vector<Rule> rules;
  ExprId root = kNothing;

  /// Takes out what can never be completed (an object that must contain itself); kNothing is left
  /// as the root if that is everything.
  void remove_endless();
};

}  // namespace tigerbot::constraint
