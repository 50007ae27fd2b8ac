#include <CLI/App.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/report/html_report.h"
#include "data/report/text_report.h"

namespace tigerbot {

void add_data_report_command(CLI::App& data) {
  struct Options {
    std::string folder, html;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = *data.add_subcommand("report", "Show what a data run made of its input");
  command.add_option("DIR", options->folder, "The output folder of `tigerbot data build`")
      ->required();
  command.add_option(
      "--html", options->html,
      "Write the HTML report there (default: DIR/report.html, which is there already)");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer("Example:\n  tigerbot data report out/standing-corpus");
  command.callback([options] {
    const std::filesystem::path path = std::filesystem::path(options->folder) / "report.json";
    if (!std::filesystem::exists(path))
      fail("{}: there is no finished run here; `tigerbot data build` makes one", options->folder);
    const Json report = read_json_file(path);
    if (!options->html.empty()) data::write_html_report(options->html, report);
    if (options->json) {
      print_json(nlohmann::ordered_json(report));
      return;
    }
    std::fputs(data::text_report(report).c_str(), stdout);
    const std::string html = options->html.empty()
                                 ? (std::filesystem::path(options->folder) / "report.html").string()
                                 : options->html;
    std::printf("report: %s\n", html.c_str());
  });
}

}  // namespace tigerbot
