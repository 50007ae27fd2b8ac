#pragma once

#include <string>
#include <string_view>

namespace tigerbot::data {

/// A row that is nearly JSON, as JSON: control characters inside strings become escapes (NULs
/// spaces), escapes of half a surrogate pair U+FFFD, NaN and infinities null, and integers past 64
/// bits strings of their digits. Everything else stays as it is, right or wrong.
std::string repair_json_row(std::string_view row);

}  // namespace tigerbot::data
