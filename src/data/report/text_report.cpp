#include "data/report/text_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/text.h"

namespace tigerbot::data {
namespace {

std::uint64_t count(const Json& json, const char* key) { return json.value(key, std::uint64_t{0}); }

/// Rows of cells under a heading, the first column to the left, the others to the right.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t k = 0; k < row.size(); ++k) widths[k] = std::max(widths[k], row[k].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t k = 0; k < row.size(); ++k)
      text += k == 0 ? fmt::format("{:<{}}", row[k], widths[k])
                     : fmt::format("  {:>{}}", row[k], widths[k]);
    text += '\n';
  }
  return text;
}

}  // namespace

std::string text_report(const Json& report) {
  const bool tokens = report.at("tokens_counted").get<bool>();
  std::vector<std::vector<std::string>> mixture{{"source", "kind", "documents", "size", "share"}};
  if (tokens) mixture[0].insert(mixture[0].begin() + 4, "tokens");
  const auto add = [&](const std::string& name, const std::string& kind, const Json& row,
                       double share) {
    mixture.push_back({name, kind, format_count(count(row, "documents")),
                       format_bytes(count(row, "bytes")), fmt::format("{:.1f}%", share * 100)});
    if (tokens)
      mixture.back().insert(mixture.back().begin() + 4, format_count(count(row, "tokens")));
  };
  for (const Json& row : report.at("mixture"))
    add(row.at("source").get<std::string>(), row.at("kind").get<std::string>(), row,
        row.at("share").get<double>());
  add("total", "", report.at("train"), 1);
  if (count(report.at("validation"), "documents") > 0) {
    add("validation", "", report.at("validation"), 0);
    mixture.back().back() = "";
  }
  std::string text = table(mixture);

  std::vector<std::vector<std::string>> funnel{{"after", "documents", "size"}};
  for (const Json& step : report.at("funnel")) {
    std::uint64_t documents = 0, bytes = 0;
    for (const Json& amount : step.at("languages")) {
      documents += count(amount, "documents");
      bytes += count(amount, "bytes");
    }
    funnel.push_back(
        {step.at("stage").get<std::string>(), format_count(documents), format_bytes(bytes)});
  }
  text += "\n" + table(funnel);

  std::vector<std::pair<std::uint64_t, std::string>> drops;
  for (const auto& item : report.at("dropped").items())
    drops.emplace_back(count(item.value(), "documents"), item.key());
  std::sort(drops.rbegin(), drops.rend());
  if (!drops.empty()) {
    std::vector<std::vector<std::string>> reasons{{"dropped because of", "documents"}};
    for (const auto& drop : drops) reasons.push_back({drop.second, format_count(drop.first)});
    text += "\n" + table(reasons);
  }
  for (const Json& note : report.at("notes")) text += "note: " + note.get<std::string>() + "\n";
  if (const std::uint64_t bad = count(report, "bad_inputs"); bad > 0)
    text += fmt::format("bad rows and files: {}\n", format_count(bad));
  return text;
}

}  // namespace tigerbot::data
