#pragma once

#include <string>

#include "base/json.h"

namespace tigerbot::quant {

/// quantization_report.json as a page: the error of every layer as a plot and a table, sizes, and,
/// where they were measured, perplexity, accuracy and speed before and after. Nothing outside it is
/// needed.
std::string report_page(const nlohmann::ordered_json& report, const std::string& title);

}  // namespace tigerbot::quant
