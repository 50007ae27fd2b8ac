#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "infer/constraint/expression.h"

namespace tigerbot::constraint {

/// A number in digits, without an exponent: exact, as a schema gives its limits.
struct Decimal {
  bool negative = false;
  std::string whole;     ///< without leading zeros; "0" if there is nothing else
  std::string fraction;  ///< without trailing zeros

  bool is_zero() const { return whole == "0" && fraction.empty(); }
  std::size_t digits() const { return whole.size() + fraction.size(); }
  static Decimal from_json(const nlohmann::ordered_json& number);
  friend bool operator==(const Decimal&, const Decimal&) = default;
};
/// Negative, 0 or positive, as a is less than, equal to or greater than b.
int compare(const Decimal& a, const Decimal& b);

struct NumberLimit {
  Decimal value;
  bool exclusive = false;
};

struct NumberLimits {
  std::optional<NumberLimit> lower, upper;
};

/// Whole numbers of at most 18 digits (those that 64 bits hold) within limits.
ExprId integer_expression(ExpressionPool& pool, const NumberLimits& limits);
/// Any number: at most 18 digits before the point, 17 after it and an exponent of 2. Within limits
/// there is no exponent, and so few digits follow that a double tells the number from its limits.
ExprId number_expression(ExpressionPool& pool, const NumberLimits& limits);
/// Numbers of at most this many digits after the point.
ExprId fraction_expression(ExpressionPool& pool, std::int64_t digits);

inline constexpr std::size_t kMaxWholeDigits = 18;
/// Decimal digits of which a double keeps all.
inline constexpr std::size_t kExactDigits = 15;

}  // namespace tigerbot::constraint
