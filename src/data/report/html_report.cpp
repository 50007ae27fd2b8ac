#include "data/report/html_report.h"

#include "base/files.h"

namespace tigerbot::data {

std::string html_report(const Json& report) { return report.dump(); }

void write_html_report(const std::filesystem::path& path, const Json& report) {
  write_file(path, html_report(report));
}

}  // namespace tigerbot::data
