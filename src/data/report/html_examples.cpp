#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "base/html.h"
#include "base/text.h"
#include "data/report/charts.h"
#include "data/report/html.h"
#include "data/report/html_sections.h"

/// The sections that show documents: dropped beside kept, before beside after, duplicates.
namespace tigerbot::data::html {
namespace {

std::string text_of(const Json& example, const char* key) {
  return example.at(key).get<std::string>();
}

std::string box(const char* look, const std::string& title, const std::string& about,
                const std::string& text) {
  return fmt::format("<div class=\"text {}\"><div><b>{}</b> {}</div><pre>{}</pre></div>", look,
                     escape_html(title), escape_html(about), escape_html(text));
}

std::string about(const Json& example) {
  return fmt::format("{} · {} · {}", text_of(example, "source"),
                     name_or_unknown(text_of(example, "language")), text_of(example, "id"));
}

/// "measured 0.61, threshold 0.5": whatever of it says something.
std::string measure_of(const Json& example) {
  const double value = example.at("value").get<double>();
  const double threshold = example.at("threshold").get<double>();
  std::string out;
  if (value != 0 || threshold != 0) out = fmt::format("measured {:.4g}", value);
  if (threshold != 0) out += fmt::format(", threshold {:.4g}", threshold);
  if (const std::string detail = text_of(example, "detail"); !detail.empty())
    out += (out.empty() ? "" : "; ") + detail;
  return out;
}

/// A kept document to set beside a dropped one: of its language if there is one.
const Json* kept_beside(const Json& kept, const Json& example, std::size_t number) {
  auto at = kept.find(text_of(example, "language"));
  if (at == kept.end() || at->empty()) at = kept.begin();
  if (at == kept.end() || at->empty()) return nullptr;
  return &(*at)[number % at->size()];
}

bool is_duplicate(const std::string& reason) {
  return reason.starts_with("exact_duplicates") || reason.starts_with("near_duplicates");
}

std::string examples_of(const Json& report, const std::string& reason) {
  const Json& statistics = report.at("statistics");
  const auto found = statistics.at("dropped").find(reason);
  if (found == statistics.at("dropped").end()) return "";
  std::string out;
  std::size_t number = 0;
  for (const Json& example : *found) {
    out += "<div class=\"pair\">" + box("drop", "dropped",
                                        about(example) + " · " + measure_of(example),
                                        text_of(example, "excerpt"));
    if (!text_of(example, "other").empty()) {
      out +=
          box("keep", "kept", "the document that it duplicates · " + text_of(example, "other_id"),
              text_of(example, "other"));
    } else if (const Json* kept = kept_beside(statistics.at("kept"), example, number)) {
      out += box("keep", "kept", about(*kept), text_of(*kept, "excerpt"));
    }
    out += "</div>";
    ++number;
  }
  return out;
}

std::vector<std::pair<std::string, Sum>> sorted_drops(const Json& report,
                                                      std::string_view prefix = "") {
  std::vector<std::pair<std::string, Sum>> drops;
  for (const auto& item : report.at("dropped").items())
    if (item.key().starts_with(prefix)) drops.emplace_back(item.key(), sum_of(item.value()));
  std::stable_sort(drops.begin(), drops.end(), [](const auto& a, const auto& b) {
    return a.second.documents > b.second.documents;
  });
  return drops;
}

std::string details_of(const Json& report, const std::string& reason, const Sum& sum, bool open) {
  return fmt::format(
      "<details{}><summary>{}<span class=\"note\">{} documents, {}</span></summary>"
      "{}</details>",
      open ? " open" : "", escape_html(reason), format_count(sum.documents),
      format_bytes(sum.bytes), examples_of(report, reason));
}

}  // namespace

std::string drops_section(const Json& report) {
  const auto drops = sorted_drops(report);
  if (drops.empty()) return "<p class=\"quiet\">No stage dropped a document.</p>";
  const auto read = static_cast<double>(std::max<std::uint64_t>(
      sum_of_all(report.at("funnel").front().at("languages")).documents, 1));
  std::vector<Slice> bars;
  for (const auto& drop : drops)
    bars.push_back({drop.first, static_cast<double>(drop.second.documents),
                    fmt::format("{} · {} · {}", format_count(drop.second.documents),
                                format_bytes(drop.second.bytes),
                                percent(static_cast<double>(drop.second.documents) / read))});
  std::string out = bar_chart(bars) + "<h3>Random examples, beside what was kept</h3>";
  bool open = true;
  for (const auto& drop : drops) {
    if (is_duplicate(drop.first)) continue;
    out += details_of(report, drop.first, drop.second, open);
    open = false;
  }
  return out;
}

std::string edits_section(const Json& report) {
  const Json& statistics = report.at("statistics");
  std::vector<Slice> bars;
  for (const auto& item : statistics.at("edits").items())
    bars.push_back({item.key(), item.value().get<double>(),
                    format_count(item.value().get<std::uint64_t>()) + " documents"});
  if (bars.empty()) return "";
  std::stable_sort(bars.begin(), bars.end(),
                   [](const Slice& a, const Slice& b) { return a.amount > b.amount; });
  std::string out = bar_chart(bars);
  for (const Slice& bar : bars) {
    const auto found = statistics.at("edited").find(bar.name);
    if (found == statistics.at("edited").end()) continue;
    out += fmt::format(
        "<details><summary>{}<span class=\"note\">before and after all stages"
        "</span></summary>",
        escape_html(bar.name));
    for (const Json& example : *found)
      out += "<div class=\"pair\">" +
             box("drop", "before", about(example), text_of(example, "other")) +
             box("keep", "after", about(example), text_of(example, "excerpt")) + "</div>";
    out += "</details>";
  }
  return out;
}

std::string duplicates_section(const Json& report) {
  const Json& sizes = report.at("clusters").at("sizes");
  std::string out;
  for (const auto& drop : sorted_drops(report))
    if (is_duplicate(drop.first)) out += details_of(report, drop.first, drop.second, out.empty());
  if (sizes.empty()) return out;
  std::map<int, std::uint64_t> by_doubling;  // 2, 3 to 4, 5 to 8, ...
  std::uint64_t clusters = 0;
  for (const auto& item : sizes.items()) {
    int bin = 1;
    while ((std::uint64_t{1} << bin) < std::stoull(item.key())) ++bin;
    by_doubling[bin] += item.value().get<std::uint64_t>();
    clusters += item.value().get<std::uint64_t>();
  }
  std::vector<Slice> bars;
  for (const auto& item : by_doubling) {
    const std::uint64_t high = std::uint64_t{1} << item.first;
    bars.push_back(
        {item.first == 1 ? "2 documents" : fmt::format("{} to {} documents", high / 2 + 1, high),
         static_cast<double>(item.second), format_count(item.second) + " clusters"});
  }
  out += fmt::format(
      "<h3>Clusters</h3><p>{} documents stand for at least one duplicate.</p>{}"
      "<details><summary>The largest clusters</summary>",
      format_count(clusters), bar_chart(bars));
  for (const Json& cluster : report.at("clusters").at("largest"))
    out += "<div style=\"margin-top:10px\">" +
           box("keep", fmt::format("{} documents", cluster.at("size").get<std::uint64_t>()),
               about(cluster), text_of(cluster, "excerpt")) +
           "</div>";
  return out + "</details>";
}

std::string overlap_section(const Json& report) {
  std::string out;
  for (const auto& drop : sorted_drops(report, "overlap"))
    out += details_of(report, drop.first, drop.second, out.empty());
  for (const auto& item : report.at("statistics").at("edits").items())
    if (item.key().starts_with("overlap"))
      out += fmt::format("<p>{}: {} documents were cut.</p>", escape_html(item.key()),
                         format_count(item.value().get<std::uint64_t>()));
  return out;
}

}  // namespace tigerbot::data::html
