#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"

namespace tigerbot::data {

/// The report of a run (report.json) as one HTML page that needs nothing else: no script from
/// elsewhere, no font, no picture. Light and dark follow the reader's system.
std::string html_report(const Json& report);

void write_html_report(const std::filesystem::path& path, const Json& report);

}  // namespace tigerbot::data
