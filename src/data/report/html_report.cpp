#include "data/report/html_report.h"

#include <fmt/format.h>

#include "base/files.h"
#include "base/html.h"
#include "data/report/html.h"
#include "data/report/html_sections.h"
#include "data/report/page_style.h"

namespace tigerbot::data {

std::string html_report(const Json& report) {
  using namespace html;
  struct Part {
    const char *id, *name;
    std::string body;
  };
  const Part parts[] = {{"mixture", "Mixture", mixture_section(report)},
                        {"funnel", "Funnel", funnel_section(report)},
                        {"drops", "Dropped", drops_section(report)},
                        {"edits", "Edited", edits_section(report)},
                        {"duplicates", "Duplicates", duplicates_section(report)},
                        {"overlap", "Overlap", overlap_section(report)},
                        {"histograms", "Lengths and scores", histograms_section(report)},
                        {"bad", "Bad input", bad_inputs_section(report)},
                        {"time", "Time", time_section(report)},
                        {"settings", "Settings", settings_section(report)},
                        {"shards", "Shards", shards_section(report)}};
  const std::string name = escape_html(report.at("name").get<std::string>());
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<title>{0}: data report</title>\n<style>{1}</style>\n<main>\n"
      "<header><h1>{0}</h1><p>Data report, TigerBot {2} ({3})</p><nav>",
      name, kPageStyle, escape_html(report.at("tigerbot").at("version").get<std::string>()),
      escape_html(report.at("tigerbot").at("commit").get<std::string>()));
  for (const Part& part : parts)
    if (!part.body.empty()) page += fmt::format("<a href=\"#{}\">{}</a>", part.id, part.name);
  page += "</nav></header>\n" + tiles(report);
  for (const Part& part : parts)
    if (!part.body.empty()) page += section(part.id, part.name, part.body);
  return page + "</main>\n</html>\n";
}

void write_html_report(const std::filesystem::path& path, const Json& report) {
  write_file(path, html_report(report));
}

}  // namespace tigerbot::data
