#include "workflow/report.h"

#include <torch/headeronly/version.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/version.h"
#include "ops/cpu/isa.h"
#include "workflow/html.h"
#include "workflow/places.h"
#include "workflow/stage_state.h"

namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestPage = 24 << 20;

/// What stands behind "name" in a file of "name : value" lines.
std::string field_of(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || trim(line.substr(0, colon)) != name) continue;
    return std::string(trim(std::string_view(line).substr(colon + 1)));
  }
  return "unknown";
}

Json machine() {
  return {{"processor", field_of("/proc/cpuinfo", "model name")},
          {"threads", std::thread::hardware_concurrency()},
          {"vector instructions", std::string(cpu::isa_name(cpu::best_isa()))},
          {"memory", field_of("/proc/meminfo", "MemTotal")},
          {"tigerbot", std::string(version()) + " " + std::string(git_commit())},
          {"LibTorch", TORCH_VERSION}};
}

/// A command as one would type it.
std::string shell_line(const Json& command) {
  std::string out;
  for (std::size_t k = 0; k < command.size(); ++k) {
    std::string word = command[k];
    if (k == 0 && word.ends_with("/tigerbot")) word = "tigerbot";
    const bool plain =
        !word.empty() && word.find_first_of(" \t\n'\"\\$`*?[]{}()<>|&;#~!") == std::string::npos;
    if (!plain) {
      std::string quoted = "'";
      for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
      word = quoted + "'";
    }
    out += (k == 0 ? "" : " ") + word;
  }
  return out;
}

/// A record as the report shows it: paths of the work folder are those of the result.
std::string in_place(std::string text, const Recipe& recipe, const Json& record) {
  const Places places{recipe.output};
  const std::string name = record["name"];
  const std::string work = places.work(name, record["key"]).string();
  const std::string place = places.stage(name).string();
  for (std::size_t at = text.find(work); at != std::string::npos;
       at = text.find(work, at + place.size())) {
    text.replace(at, work.size(), place);
  }
  return text;
}

/// The pages (.html) that a stage made, by name.
std::vector<fs::path> pages_of(const fs::path& result) {
  std::vector<fs::path> pages;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(result, error)) {
    if (entry.path().extension() == ".html" && entry.file_size() <= kLargestPage) {
      pages.push_back(entry.path());
    }
  }
  std::sort(pages.begin(), pages.end());
  return pages;
}

std::string printed(const fs::path& path) {
  if (!fs::exists(path) || fs::file_size(path) == 0 || fs::file_size(path) > 1 << 20) return "";
  const std::string text = read_file(path);
  try {
    return html::table_of(parse_json(text, path.string()));
  } catch (const Error&) {
    return html::text_block(text);
  }
}

std::string tail_of(const fs::path& path, std::size_t bytes) {
  if (!fs::exists(path)) return "";
  std::string text = read_file(path);
  if (text.size() <= bytes) return text;
  const std::size_t line = text.find('\n', text.size() - bytes);
  return "...\n" + text.substr(line == std::string::npos ? text.size() - bytes : line + 1);
}

std::string files_table(const Json& files) {
  std::string out = "<table><tr><th>result</th><th>size</th><th>SHA-256</th></tr>\n";
  for (const auto& [name, file] : files.items()) {
    out +=
        fmt::format("<tr><td>{}</td><td class=\"number\">{}</td><td class=\"hash\">{}</td></tr>\n",
                    html::escape(name), format_bytes(file["bytes"].get<std::uint64_t>()),
                    file["sha256"].get<std::string>());
  }
  return out + "</table>\n";
}

std::string hashes_table(const Json& made_from) {
  std::string out = "<table><tr><th>made from</th><th>SHA-256</th></tr>\n";
  for (const char* kind : {"results", "inputs"}) {
    for (const auto& [name, digest] : made_from[kind].items()) {
      out += fmt::format("<tr><td>{}</td><td class=\"hash\">{}</td></tr>\n", html::escape(name),
                         digest.get<std::string>());
    }
  }
  return out + "</table>\n";
}

std::string note_of(const Stage& stage) {
  return stage.note.empty() ? "" : "<p>" + html::escape(stage.note) + "</p>\n";
}

std::string stage_section(const Recipe& recipe, const Stage& stage, const Json& record) {
  const Places places{recipe.output};
  const fs::path result = places.result(stage.name);
  std::string out = fmt::format("<section id=\"{0}\"><h2>{0}</h2><p>{1}</p>\n", stage.name,
                                html::escape(stage.title));
  out +=
      "<pre>" + html::escape(in_place(shell_line(record["command"]), recipe, record)) + "</pre>\n";
  if (!stage.is_result) {
    out += note_of(stage);
    for (const fs::path& page : pages_of(result)) {
      out += html::folded(page.stem().string(), html::embedded_page(read_file(page)));
    }
  }
  if (const std::string text = printed(places.stage(stage.name) / "printed.txt"); !text.empty()) {
    out += html::folded("what it reported", text);
  }
  for (const char* name : {"manifest.json", "quantization_report.json"}) {
    const fs::path path = result / name;
    if (!fs::exists(path) || fs::file_size(path) > 2 << 20) continue;
    out += html::folded(name, html::table_of(read_json_file(path)));
  }
  if (record["recipe"].is_string()) {
    out += html::folded("settings", html::text_block(in_place(record["recipe"], recipe, record)));
  }
  out += html::folded("results and what they were made from",
                      files_table(record["files"]) + hashes_table(record["made_from"]));
  Json cost = record["cost"];
  cost["peak_memory"] = format_bytes(cost["peak_memory"].get<std::uint64_t>());
  cost["peak_disk"] = format_bytes(cost["peak_disk"].get<std::uint64_t>());
  cost["finished"] = record["finished"];
  cost["program"] = record["program"];
  cost["key"] = record["key"];
  out += html::folded("cost", html::table_of(cost));
  if (const std::string log = tail_of(places.stage(stage.name) / "log.txt", 20'000); !log.empty()) {
    out += html::folded("log", html::text_block(log));
  }
  return out + "</section>\n";
}

struct Totals {
  double seconds = 0, longest = 0;
  std::uint64_t memory = 0, disk = 0;
};

Totals totals_of(const Json& records) {
  Totals totals;
  for (const Json& record : records) {
    const Json& cost = record["cost"];
    totals.seconds += cost["seconds"].get<double>();
    totals.longest = std::max(totals.longest, cost["seconds"].get<double>());
    totals.memory = std::max(totals.memory, cost["peak_memory"].get<std::uint64_t>());
    totals.disk = std::max(totals.disk, cost["peak_disk"].get<std::uint64_t>());
  }
  return totals;
}

std::string cost_table(const Recipe& recipe, const Json& records, const Totals& totals) {
  std::string out =
      "<table><tr><th>stage</th><th></th><th>time</th><th>processor time</th><th>memory</th>"
      "<th>tokens</th><th>results</th></tr>\n";
  for (const Json& record : records) {
    const Stage& stage = recipe.stage(record["name"]);
    const Json& cost = record["cost"];
    const double seconds = cost["seconds"];
    std::uint64_t bytes = 0;
    for (const auto& [name, file] : record["files"].items()) {
      bytes += file["bytes"].get<std::uint64_t>();
    }
    out += fmt::format(
        "<tr><td><a href=\"#{0}\">{0}</a></td><td>{1}</td><td><span class=\"bar\" "
        "style=\"width:{2:.0f}px\"></span>{3}</td><td class=\"number\">{4}</td>"
        "<td class=\"number\">{5}</td><td class=\"number\">{6}</td><td class=\"number\">{7}</td>"
        "</tr>\n",
        stage.name, html::escape(stage.title),
        totals.longest > 0 ? 120 * seconds / totals.longest : 0, format_duration(seconds),
        format_duration(cost["processor_seconds"].get<double>()),
        format_bytes(cost["peak_memory"].get<std::uint64_t>()),
        cost.contains("tokens") ? format_count(cost["tokens"].get<std::uint64_t>()) : "",
        format_bytes(bytes));
  }
  return out + "</table>\n";
}

}  // namespace

Json write_report(const Recipe& recipe, Digests& digests) {
  const Places places{recipe.output};
  Json records = Json::array();
  for (const Stage& stage : recipe.stages) {
    if (Json record = read_record(recipe, stage.name); !record.is_null()) {
      records.push_back(std::move(record));
    }
  }
  const Totals totals = totals_of(records);
  const Json about = machine();
  std::string page = "<!doctype html><html lang=\"en\"><head>" + html::head(recipe.name) +
                     "</head><body><h1>" + html::escape(recipe.name) + "</h1>\n";
  page += fmt::format(
      "<p class=\"quiet\">{} stages in {}, at most {} of memory and {} of disk, on {} ({} threads, "
      "{})</p>\n",
      records.size(), format_duration(totals.seconds), format_bytes(totals.memory),
      format_bytes(totals.disk), html::escape(about["processor"].get<std::string>()),
      about["threads"].get<unsigned>(),
      html::escape(about["vector instructions"].get<std::string>()));
  for (const Json& record : records) {
    const Stage& stage = recipe.stage(record["name"]);
    if (!stage.is_result) continue;
    for (const fs::path& file : pages_of(places.result(stage.name))) {
      page += html::embedded_page(read_file(file));
    }
    page += note_of(stage);
  }
  page += "<h2>Stages</h2>\n" + cost_table(recipe, records, totals);
  for (const Json& record : records) {
    page += stage_section(recipe, recipe.stage(record["name"]), record);
  }
  page +=
      "<section><h2>To repeat it</h2>\n" + html::table_of(about) +
      html::folded("variables", html::table_of(recipe.variables)) +
      html::folded("recipe, SHA-256 " + digests.of(recipe.path), html::text_block(recipe.text)) +
      "</section></body></html>\n";
  write_file(recipe.output / "report.html", page);
  Json report = {{"name", recipe.name},           {"output", recipe.output.string()},
                 {"seconds", totals.seconds},     {"peak_memory", totals.memory},
                 {"peak_disk", totals.disk},      {"machine", about},
                 {"variables", recipe.variables}, {"stages", records}};
  write_file(recipe.output / "report.json", report.dump(1) + "\n");
  return report;
}

}  // namespace tigerbot::workflow
