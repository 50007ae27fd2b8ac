#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace tigerbot::train {

/// What a report is made of.
struct ReportContents {
  std::string title;
  Json summary;   ///< an object of a few facts, shown as a table
  Json manifest;  ///< the data
  std::string recipe;
  Json versions;
  std::vector<Json> metrics;  ///< the lines of metrics.jsonl
};

/// One HTML page with nothing outside it: plots (SVG) of the loss, by source where there are
/// several, validation, learning rate, gradient and throughput; samples; settings; data; versions.
std::string html_report(const ReportContents& contents);

}  // namespace tigerbot::train
