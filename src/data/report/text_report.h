#pragma once

#include <string>

#include "base/json.h"

namespace tigerbot::data {

/// A run's report (report.json) as a few tables for the terminal: the mixture, what each stage
/// left, and why documents went.
std::string text_report(const Json& report);

}  // namespace tigerbot::data
