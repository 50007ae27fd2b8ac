#include "data/report/html_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "base/html.h"
#include "base/text.h"
#include "data/report/charts.h"
#include "data/report/html.h"

namespace tigerbot::data::html {
namespace {

std::string tile(const std::string& figure, const std::string& what) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>", escape_html(figure),
                     escape_html(what));
}

std::string row(const std::vector<std::string>& cells, const char* look = "",
                const char* tag = "td", std::size_t left = 1) {
  std::string out = fmt::format("<tr{}>", look);
  for (std::size_t k = 0; k < cells.size(); ++k)
    out += fmt::format("<{0}{1}>{2}</{0}>", tag, k < left ? " class=\"left\"" : "", cells[k]);
  return out + "</tr>";
}

std::string head(const std::vector<std::string>& cells, std::size_t left = 1) {
  return "<div class=\"scroll\"><table><thead>" + row(cells, "", "th", left) + "</thead><tbody>";
}
constexpr const char* kTableEnd = "</tbody></table></div>";

/// Languages of the funnel by documents read, the largest first.
std::vector<std::string> languages_of(const Json& funnel) {
  std::map<std::string, std::uint64_t> bytes;
  for (const Json& step : funnel)
    for (const auto& item : step.at("languages").items())
      bytes[item.key()] = std::max(bytes[item.key()], sum_of(item.value()).bytes);
  std::vector<std::string> names;
  for (const auto& item : bytes) names.push_back(item.first);
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return bytes[a] > bytes[b]; });
  return names;
}

std::string stage_word(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

}  // namespace

Sum sum_of(const Json& amount) {
  const auto get = [&](const char* key) { return amount.value(key, std::uint64_t{0}); };
  return {get("documents"), get("bytes"), get("characters"), get("tokens")};
}

Sum sum_of_all(const Json& amounts) {
  Sum total;
  for (const Json& amount : amounts) {
    const Sum sum = sum_of(amount);
    total.documents += sum.documents;
    total.bytes += sum.bytes;
    total.characters += sum.characters;
    total.tokens += sum.tokens;
  }
  return total;
}

std::string section(const std::string& id, const std::string& title, const std::string& body) {
  return fmt::format("<section id=\"{}\"><h2>{}</h2>{}</section>\n", id, escape_html(title), body);
}

std::string tiles(const Json& report) {
  const Json& funnel = report.at("funnel");
  const Sum read = sum_of_all(funnel.front().at("languages"));
  const Sum train = sum_of(report.at("train")), validation = sum_of(report.at("validation"));
  std::uint64_t dropped = sum_of_all(report.at("dropped")).documents;
  double seconds = 0;
  for (const Json& value : report.at("seconds")) seconds += value.get<double>();
  std::string out = "<div class=\"tiles\">";
  out += tile(format_count(read.documents), "documents read, " + format_bytes(read.bytes));
  out += tile(format_count(train.documents + validation.documents),
              "documents written, " + format_bytes(train.bytes + validation.bytes));
  if (report.at("tokens_counted").get<bool>())
    out +=
        tile(short_count(static_cast<double>(train.tokens + validation.tokens)), "tokens written");
  out += tile(percent(read.documents == 0
                          ? 0
                          : static_cast<double>(dropped) / static_cast<double>(read.documents)),
              format_count(dropped) + " documents dropped by stages");
  out += tile(format_count(report.at("bad_inputs").get<std::uint64_t>()), "bad rows and files");
  out +=
      tile(format_duration(seconds), seconds > 0 ? format_bytes(static_cast<std::uint64_t>(
                                                       static_cast<double>(read.bytes) / seconds)) +
                                                       "/s from input to shards"
                                                 : "");
  return out + "</div>\n";
}

std::string mixture_section(const Json& report) {
  const Json& mixture = report.at("mixture");
  const bool tokens = report.at("tokens_counted").get<bool>();
  std::uint64_t largest = 0;
  for (const Json& source : mixture) largest = std::max(largest, sum_of(source).bytes);
  const SizeUnit unit = size_unit(largest);
  std::vector<std::string> titles{"source", "kind", "licence", unit.name};
  if (tokens) titles.push_back("tokens (M)");
  titles.insert(titles.end(), {"documents", "copies", "share"});
  std::string out = head(titles, 3);
  const auto line = [&](const std::vector<std::string>& names, const Sum& sum,
                        const std::string& copies, const std::string& share, const char* look) {
    std::vector<std::string> cells{names[0], names[1], names[2], unit.show(sum.bytes)};
    if (tokens) cells.push_back(fmt::format("{:.2f}", static_cast<double>(sum.tokens) / 1e6));
    cells.insert(cells.end(), {format_count(sum.documents), copies, share});
    out += row(cells, look, "td", 3);
  };
  std::map<std::string, double> kinds;
  std::vector<Slice> sources;
  bool has_kinds = false;
  for (const Json& source : mixture) {
    const Sum sum = sum_of(source);
    const auto text = [&](const char* key) { return source.at(key).get<std::string>(); };
    const double share = source.at("share").get<double>();
    line({escape_html(text("source")), escape_html(text("kind")), escape_html(text("licence"))},
         sum, fmt::format("{:.3g}", source.at("copies").get<double>()), percent(share), "");
    kinds[text("kind")] += share;
    has_kinds = has_kinds || !text("kind").empty();
    sources.push_back({text("source"), share, percent(share)});
  }
  line({"total", "", ""}, sum_of(report.at("train")), "", "100%", " class=\"sum\"");
  const Sum validation = sum_of(report.at("validation"));
  if (validation.documents > 0) line({"validation", "", ""}, validation, "", "", "");
  out += kTableEnd;
  for (const Json& note : report.at("notes"))
    out += fmt::format("<p class=\"warn\">{}</p>", escape_html(note.get<std::string>()));
  out += "<div class=\"rings\">";
  const std::string measure = report.at("measure").get<std::string>();
  if (has_kinds) {
    std::vector<Slice> slices;
    for (const auto& item : kinds)
      slices.push_back({name_or_unknown(item.first), item.second, percent(item.second)});
    out += ring_chart(slices, counted(kinds.size(), "kind", "\n"));
  }
  out += ring_chart(sources, counted(sources.size(), "source", "\n"));
  const Json& last = report.at("funnel").back().at("languages");
  const auto total = static_cast<double>(std::max<std::uint64_t>(sum_of_all(last).bytes, 1));
  std::vector<Slice> languages;
  for (const auto& item : last.items()) {
    const double share = static_cast<double>(sum_of(item.value()).bytes) / total;
    languages.push_back({name_or_unknown(item.key()), share, percent(share)});
  }
  out += ring_chart(languages, counted(languages.size(), "language", "\n"));
  return out + fmt::format(
                   "</div><p class=\"quiet\">Kinds and sources by {} of the training "
                   "split; languages by bytes.</p>",
                   escape_html(measure));
}

std::string funnel_section(const Json& report) {
  const Json& funnel = report.at("funnel");
  const std::vector<std::string> languages = languages_of(funnel);
  // Small languages together, so that colours stay apart.
  const std::size_t shown = std::min<std::size_t>(languages.size(), 7);
  std::vector<std::string> names;
  for (std::size_t k = 0; k < shown; ++k) names.push_back(name_or_unknown(languages[k]));
  if (shown < languages.size()) names.push_back("other");
  const Sum read = sum_of_all(funnel.front().at("languages"));
  const SizeUnit unit = size_unit(read.bytes);

  std::vector<StackedRow> bars;
  std::string table =
      head({"after", "documents", unit.name, "characters (M)", "of documents read"});
  for (const Json& step : funnel) {
    const Json& amounts = step.at("languages");
    const Sum sum = sum_of_all(amounts);
    StackedRow bar;
    bar.name = stage_word(step.at("stage").get<std::string>());
    bar.note = format_bytes(sum.bytes);
    double rest = static_cast<double>(sum.bytes);
    for (std::size_t k = 0; k < shown; ++k) {
      const auto at = amounts.find(languages[k]);
      bar.parts.push_back(at == amounts.end() ? 0 : static_cast<double>(sum_of(*at).bytes));
      rest -= bar.parts.back();
    }
    if (shown < languages.size()) bar.parts.push_back(rest);
    table += row({escape_html(bar.name), format_count(sum.documents), unit.show(sum.bytes),
                  fmt::format("{:.2f}", static_cast<double>(sum.characters) / 1e6),
                  read.documents == 0 ? ""
                                      : percent(static_cast<double>(sum.documents) /
                                                static_cast<double>(read.documents))});
    bars.push_back(std::move(bar));
  }
  std::string out = stacked_bars(names, bars) + "<h3>All languages</h3>" + table + kTableEnd;

  std::vector<std::string> titles{"documents after"};
  titles.insert(titles.end(), names.begin(), names.end());
  for (std::string& title : titles) title = escape_html(title);
  out += "<h3>By language</h3>" + head(titles);
  for (const Json& step : funnel) {
    const Json& amounts = step.at("languages");
    std::vector<std::string> cells{escape_html(stage_word(step.at("stage").get<std::string>()))};
    std::uint64_t rest = sum_of_all(amounts).documents;
    for (std::size_t k = 0; k < shown; ++k) {
      const auto at = amounts.find(languages[k]);
      const std::uint64_t documents = at == amounts.end() ? 0 : sum_of(*at).documents;
      cells.push_back(format_count(documents));
      rest -= documents;
    }
    if (shown < languages.size()) cells.push_back(format_count(rest));
    out += row(cells);
  }
  return out + kTableEnd;
}

std::string histograms_section(const Json& report) {
  const Json& statistics = report.at("statistics");
  const auto bins_of = [](const Json& histogram) {
    std::map<int, double> bins;
    for (const auto& item : histogram.items())
      bins[std::stoi(item.key())] = item.value().get<double>();
    return bins;
  };
  std::string out = "<div class=\"charts\">";
  const auto kept = bins_of(statistics.at("kept_lengths"));
  const auto dropped = bins_of(statistics.at("dropped_lengths"));
  if (kept.empty() && dropped.empty() && statistics.at("scores").empty()) return "";
  int low = 1000, high = -1000;
  for (const auto* bins : {&kept, &dropped})
    if (!bins->empty()) {
      low = std::min(low, bins->begin()->first);
      high = std::max(high, bins->rbegin()->first);
    }
  if (low <= high) {
    Columns columns{"Length in characters", "kept", "dropped", {}, {}, {}, {}};
    for (int bin = low; bin <= high; ++bin) {
      const auto at = [&](const std::map<int, double>& bins) {
        const auto found = bins.find(bin);
        return found == bins.end() ? 0 : found->second;
      };
      columns.first.push_back(at(kept));
      columns.second.push_back(at(dropped));
      columns.hover.push_back(
          fmt::format("{:.0f} to {:.0f}", std::exp2(bin / 4.0), std::exp2((bin + 1) / 4.0)));
      columns.labels.push_back(bin % 8 == 0 ? short_count(std::exp2(bin / 4.0)) : "");
    }
    out += column_chart(columns);
  }
  for (const auto& item : statistics.at("scores").items()) {
    const auto bins = bins_of(item.value());
    if (bins.empty()) continue;
    const int first = std::min(bins.begin()->first, 0), last = std::max(bins.rbegin()->first, 19);
    Columns columns{"Score: " + item.key(), "", "", {}, {}, {}, {}};
    for (int bin = first; bin <= last; ++bin) {
      const auto found = bins.find(bin);
      columns.first.push_back(found == bins.end() ? 0 : found->second);
      columns.hover.push_back(fmt::format("{:.2f} to {:.2f}", bin * 0.05, (bin + 1) * 0.05));
      columns.labels.push_back(bin % 4 == 0 ? fmt::format("{:.1f}", bin * 0.05) : "");
    }
    out += column_chart(columns);
  }
  return out + "</div>";
}

std::string bad_inputs_section(const Json& report) {
  const auto count = report.at("bad_inputs").get<std::uint64_t>();
  if (count == 0) return "";
  const Json& shown = report.at("statistics").at("first_bad_inputs");
  std::string out = fmt::format(
      "<p>{} rows or files could not be read{}.</p>", format_count(count),
      shown.size() < count ? fmt::format("; the first {}", shown.size()) : std::string());
  out += head({"file", "what", "row"}, 2);
  for (const Json& bad : shown)
    out += fmt::format(
        "<tr><td class=\"wrap\">{}</td><td class=\"left wrap\">{}</td><td>{}</td></tr>",
        escape_html(bad.at("file").get<std::string>()),
        escape_html(bad.at("what").get<std::string>()), bad.at("row").get<std::uint64_t>());
  return out + kTableEnd;
}

std::string time_section(const Json& report) {
  const Json& seconds = report.at("seconds");
  const auto text = [](double value) {
    return value < 60 ? fmt::format("{:.2f} s", value) : format_duration(value);
  };
  std::vector<Slice> phases;
  for (const char* name : {"documents", "duplicates", "index", "shuffle", "shards"})
    if (seconds.contains(name)) {
      const double value = seconds.at(name).get<double>();
      phases.push_back({name, value, text(value)});
    }
  std::string out = fmt::format("<h3>Wall time by phase</h3>{}", bar_chart(phases));
  const Json& stages = report.at("statistics").at("seconds");
  std::vector<Slice> bars;
  for (std::size_t k = 0; k < stages.size(); ++k) {
    const double value = stages[k].get<double>();
    bars.push_back(
        {k == 0 ? "read" : stage_word(report.at("stage_names").at(k - 1)), value, text(value)});
  }
  out += fmt::format("<h3>Thread time by document stage</h3>{}", bar_chart(bars));
  return out + fmt::format(
                   "<p class=\"quiet\">{} of {}, {} of input. What an "
                   "earlier run had done is counted as it was then.</p>",
                   counted(report.at("ranks").get<std::uint64_t>(), "rank"),
                   counted(report.at("threads").get<std::uint64_t>(), "thread"),
                   counted(report.at("units").get<std::uint64_t>(), "unit"));
}

std::string settings_section(const Json& report) {
  return fmt::format(
      "<p class=\"quiet\">TigerBot {}, commit {}; settings and input are named {}.</p>"
      "<pre class=\"code\">{}</pre>",
      escape_html(report.at("tigerbot").at("version").get<std::string>()),
      escape_html(report.at("tigerbot").at("commit").get<std::string>()),
      escape_html(report.at("key").get<std::string>()),
      escape_html(report.at("recipe").dump(2, ' ', false, Json::error_handler_t::replace)));
}

std::string shards_section(const Json& report) {
  const Json& shards = report.at("shards");
  std::string out = fmt::format(
      "<details><summary>{}<span class=\"note\">with their SHA-256, "
      "as in manifest.json</span></summary>",
      counted(shards.size(), "file"));
  out += head({"file", "documents", "rows", "on disk", "SHA-256"});
  for (const Json& shard : shards)
    out += row({escape_html(shard.at("name").get<std::string>()),
                format_count(shard.at("documents").get<std::uint64_t>()),
                format_bytes(shard.at("raw_bytes").get<std::uint64_t>()),
                format_bytes(shard.at("file_bytes").get<std::uint64_t>()),
                shard.at("sha256").get<std::string>().substr(0, 16) + "…"});
  return out + kTableEnd + "</details>";
}

}  // namespace tigerbot::data::html
