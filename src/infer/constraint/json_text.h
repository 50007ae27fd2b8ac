#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "infer/constraint/grammar.h"

namespace tigerbot::constraint {

/// The parts of JSON texts. White space is what models write: nothing, one space, or a new line
/// with an indentation; never without end.
class JsonText {
 public:
  explicit JsonText(Grammar& grammar);

  ExprId gap;            ///< after an opening bracket or a comma, and before a closing bracket
  ExprId colon;          ///< with the white space after it
  ExprId comma;          ///< with the gap after it
  ExprId character;      ///< of a string, in any of its spellings
  ExprId string;         ///< with its quotation marks
  ExprId key_character;  ///< of a string, in the one spelling of Spelling::kJson

  /// `"name":` and the white space after it.
  ExprId key(std::string_view name) const;
  ExprId quoted(ExprId body) const;
  /// Any value. The rules of its objects and arrays are made when first asked for.
  ExprId any_value();
  ExprId any_object();
  ExprId any_array();
  /// Exactly this value, but for white space.
  ExprId exactly_value(const nlohmann::ordered_json& value);

 private:
  void make_any();
  Grammar& grammar_;
  ExpressionPool& pool_;
  ExprId any_value_ = kNothing, any_object_ = kNothing, any_array_ = kNothing;
};

}  // namespace tigerbot::constraint
