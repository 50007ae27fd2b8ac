#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "infer/constraint/schema_alternative.h"

namespace tigerbot::constraint {

enum class FormatKind {
  kString,      ///< strings that format_pattern describes
  kInteger,     ///< numbers that integer_format describes
  kAnnotation,  ///< says how a value is shown or used, not what it is ("password")
  kUnknown,
};
FormatKind kind_of_format(std::string_view name);

/// A regular expression of whole strings that have the format. Often fewer than the standard allows
/// (an IPv6 address is written in full), never more.
std::string_view format_pattern(std::string_view name);
/// int32 and its kin, OpenAPI's limits of whole numbers.
Alternative integer_format(std::string_view name);
/// The names, for messages.
std::string known_formats();

}  // namespace tigerbot::constraint
