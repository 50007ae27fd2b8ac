// The report as one page: tables, plots in SVG, sentences with coloured tokens.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/html.h"
#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/report/tokenizer_report.h"

namespace tigerbot {
namespace {

constexpr const char* kColors[] = {"#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951",
                                   "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"};

const char* color(std::size_t index) { return kColors[index % std::size(kColors)]; }

std::string shown(const std::string& bytes) {
  if (is_valid_utf8(bytes)) return escape_html(bytes);
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02X}", static_cast<unsigned char>(c));
  return "<i>" + hex + "</i>";
}

std::vector<std::string> languages_of(const std::vector<TokenizerReport>& reports) {
  std::set<std::string> languages;
  for (const auto& report : reports) {
    for (const auto& [language, unused] : report.languages) languages.insert(language);
  }
  return {languages.begin(), languages.end()};
}

// A round number at or above `value`.
double round_up(double value) {
  if (value <= 0) return 1;
  const double magnitude = std::pow(10, std::floor(std::log10(value)));
  for (const double step : {1.0, 2.0, 2.5, 5.0, 10.0}) {
    if (step * magnitude >= value) return step * magnitude;
  }
  return 10 * magnitude;
}

std::string legend(const std::vector<std::string>& names) {
  std::string out = "<p class=legend>";
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += fmt::format("<span><b style=\"background:{}\"></b>{}</span> ", color(i),
                       escape_html(names[i]));
  }
  return out + "</p>\n";
}

// Bars of each tokenizer, grouped by language.
std::string bars(const std::string& title, const std::vector<TokenizerReport>& reports,
                 double (*value)(const LanguageFigures&)) {
  const std::vector<std::string> languages = languages_of(reports);
  constexpr double kHeight = 220, kBar = 18;
  const double group = kBar * static_cast<double>(reports.size()) + 26;
  const double width = 60 + group * static_cast<double>(languages.size());
  double most = 0;
  for (const auto& report : reports) {
    for (const auto& [language, figures] : report.languages) {
      most = std::max(most, value(figures));
    }
  }
  const double top = round_up(most);
  std::string out = fmt::format(
      "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {:.0f} {:.0f}\" width=\"{:.0f}\">\n",
      escape_html(title), width, kHeight + 50, width);
  for (int tick = 0; tick <= 4; ++tick) {
    const double y = 20 + kHeight * (4 - tick) / 4;
    out += fmt::format(
        "<line x1=50 x2=\"{:.0f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=grid /><text x=44 "
        "y=\"{:.1f}\" text-anchor=end>{:.4g}</text>\n",
        width, y, y, y + 4, top * tick / 4);
  }
  for (std::size_t l = 0; l < languages.size(); ++l) {
    const double left = 58 + group * static_cast<double>(l);
    for (std::size_t r = 0; r < reports.size(); ++r) {
      const auto found = reports[r].languages.find(languages[l]);
      if (found == reports[r].languages.end()) continue;
      const double height = kHeight * value(found->second) / top;
      out += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
          "fill=\"{}\"><title>{} "
          "{}: {:.3f}</title></rect>\n",
          left + kBar * static_cast<double>(r), 20 + kHeight - height, kBar - 2, height, color(r),
          escape_html(reports[r].name), escape_html(languages[l]), value(found->second));
    }
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=middle>{}</text>\n",
                       left + kBar * static_cast<double>(reports.size()) / 2, kHeight + 40,
                       escape_html(languages[l]));
  }
  return out + "</svg></figure>\n";
}

// Compression over vocabulary size: a line for each language, a point for each tokenizer.
std::string curve(const std::vector<TokenizerReport>& reports) {
  const std::vector<std::string> languages = languages_of(reports);
  constexpr double kWidth = 560, kHeight = 240;
  double most = 0, largest = 0, smallest = 1e18;
  for (const auto& report : reports) {
    largest = std::max(largest, static_cast<double>(report.pieces));
    smallest = std::min(smallest, static_cast<double>(report.pieces));
    for (const auto& [language, figures] : report.languages) {
      most = std::max(most, figures.characters_per_token());
    }
  }
  const double top = round_up(most);
  if (largest == smallest) smallest = 0;
  const auto x = [&](double pieces) {
    return 50 + kWidth * (pieces - smallest) / (largest - smallest);
  };
  const auto y = [&](double value) { return 20 + kHeight * (1 - value / top); };
  std::string out = fmt::format(
      "<figure><figcaption>Characters a token over vocabulary size</figcaption><svg viewBox=\"0 0 "
      "{:.0f} {:.0f}\" width=\"{:.0f}\">\n",
      kWidth + 90, kHeight + 60, kWidth + 90);
  for (int tick = 0; tick <= 4; ++tick) {
    out += fmt::format(
        "<line x1=50 x2=\"{:.0f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=grid /><text x=44 "
        "y=\"{:.1f}\" text-anchor=end>{:.4g}</text>\n",
        kWidth + 50, y(top * tick / 4), y(top * tick / 4), y(top * tick / 4) + 4, top * tick / 4);
    const double pieces = smallest + (largest - smallest) * tick / 4;
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=middle>{}</text>\n", x(pieces),
                       kHeight + 40, format_count(static_cast<std::uint64_t>(pieces)));
  }
  for (std::size_t l = 0; l < languages.size(); ++l) {
    // A line joins tokenizers of one kind: others are no steps of one curve.
    std::map<std::string, std::vector<std::pair<double, double>>> kinds;
    for (const auto& report : reports) {
      const auto found = report.languages.find(languages[l]);
      if (found == report.languages.end()) continue;
      const double pieces = static_cast<double>(report.pieces);
      const double value = found->second.characters_per_token();
      kinds[report.kind].emplace_back(pieces, value);
      out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=3.5 fill=\"{}\"><title>{} {}: {:.3f}</title>"
          "</circle>\n",
          x(pieces), y(value), color(l), escape_html(languages[l]), escape_html(report.name),
          value);
    }
    for (auto& [kind, points] : kinds) {
      std::sort(points.begin(), points.end());
      std::string line;
      for (const auto& [pieces, value] : points) {
        line += fmt::format("{:.1f},{:.1f} ", x(pieces), y(value));
      }
      out += fmt::format("<polyline points=\"{}\" fill=none stroke=\"{}\" stroke-width=2 />\n",
                         line, color(l));
    }
  }
  return out + "</svg></figure>\n" + legend(languages);
}

std::string scripts_plot(const std::vector<TokenizerReport>& reports) {
  std::map<std::string, std::uint64_t> totals;
  for (const auto& report : reports) {
    for (const auto& [script, count] : report.pieces_by_script) totals[script] += count;
  }
  std::vector<std::pair<std::uint64_t, std::string>> order;
  for (const auto& [script, count] : totals) order.emplace_back(count, script);
  std::sort(order.rbegin(), order.rend());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < order.size() && i < 9; ++i) names.push_back(order[i].second);
  if (order.size() > names.size()) names.emplace_back("other");
  double largest = 1;
  for (const auto& report : reports) {
    largest = std::max(largest, static_cast<double>(report.pieces));
  }
  constexpr double kWidth = 620, kRow = 30;
  const double height = kRow * static_cast<double>(reports.size()) + 8;
  std::string out = fmt::format(
      "<figure><figcaption>Vocabulary by script</figcaption><svg viewBox=\"0 0 {:.0f} {:.0f}\" "
      "width=\"{:.0f}\">\n",
      kWidth + 210, height, kWidth + 210);
  for (std::size_t r = 0; r < reports.size(); ++r) {
    const double y = kRow * static_cast<double>(r) + 4;
    out += fmt::format("<text x=194 y=\"{:.1f}\" text-anchor=end>{}</text>\n", y + 16,
                       escape_html(reports[r].name.substr(0, 28)));
    double left = 200;
    double rest = 0;
    for (const auto& [script, count] : reports[r].pieces_by_script) {
      if (std::find(names.begin(), names.end(), script) == names.end()) {
        rest += static_cast<double>(count);
      }
    }
    for (std::size_t n = 0; n < names.size(); ++n) {
      const auto found = reports[r].pieces_by_script.find(names[n]);
      const double count = found != reports[r].pieces_by_script.end()
                               ? static_cast<double>(found->second)
                               : (names[n] == "other" ? rest : 0);
      const double width = kWidth * count / largest;
      out += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=22 fill=\"{}\"><title>{}: "
          "{:.0f}</title></rect>\n",
          left, y, width, color(n), escape_html(names[n]), count);
      left += width;
    }
  }
  return out + "</svg></figure>\n" + legend(names);
}

std::string table(const std::vector<TokenizerReport>& reports) {
  std::string out =
      "<table><tr><th>language<th>tokenizer<th>kind<th>pieces<th>characters a token<th>bytes a "
      "token<th>characters a token, ASCII left out<th>tokens a word<th>coverage<th>unknown<th>byte "
      "fallback<th>pieces used</tr>\n";
  for (const std::string& language : languages_of(reports)) {
    for (const TokenizerReport& report : reports) {
      const auto found = report.languages.find(language);
      if (found == report.languages.end()) continue;
      const LanguageFigures& f = found->second;
      out += fmt::format(
          "<tr><td>{}<td>{}<td>{}<td>{}<td>{:.3f}<td>{:.3f}<td>{:.3f}<td>{:.3f}<td>{:.2f}%<td>{:."
          "3f}%<td>{:.2f}%<td>{}</tr>\n",
          escape_html(language), escape_html(report.name), escape_html(report.kind),
          format_count(static_cast<std::uint64_t>(report.pieces)), f.characters_per_token(),
          f.bytes_per_token(), f.foreign_characters_per_token(), f.fertility(), 100 * f.coverage(),
          100 * f.unknown_rate(), 100 * f.byte_rate(), format_count(f.pieces_used));
    }
  }
  return out + "</table>\n";
}

std::string examples(const std::vector<TokenizerReport>& reports,
                     const std::vector<std::string>& sentences) {
  std::string out;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    out += "<h3>" + escape_html(sentences[i]) + "</h3>\n<table class=cut>\n";
    for (const TokenizerReport& report : reports) {
      out +=
          fmt::format("<tr><td>{}<td>{}<td>", escape_html(report.name), report.examples[i].size());
      std::size_t n = 0;
      for (const std::string& token : report.examples[i]) {
        out += fmt::format("<span style=\"background:{}44\">{}</span>", color(n++), shown(token));
      }
      out += "</tr>\n";
    }
    out += "</table>\n";
  }
  return out;
}

}  // namespace

std::string report_html(const std::vector<TokenizerReport>& reports,
                        const std::vector<std::string>& sentences) {
  std::vector<std::string> names;
  std::set<std::int64_t> sizes;
  for (const auto& report : reports) {
    names.push_back(report.name);
    sizes.insert(report.pieces);
  }
  std::string out =
      "<!doctype html><html lang=en><meta charset=utf-8><title>Tokenizers</title>\n<style>"
      "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1240px;padding:0 1em;"
      "color:#222}table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .6em;border-"
      "bottom:1px solid "
      "#ddd;text-align:left;vertical-align:top;font-size:13px}th{font-weight:600}figure{display:"
      "inline-block;margin:0 1.5em 1em 0}figcaption{font-weight:600;margin-bottom:.3em}svg{max-"
      "width:100%;font-size:12px}.grid{stroke:#e5e5e5}.legend b{display:inline-block;width:.8em;"
      "height:.8em;margin-right:.35em}.legend span{margin-right:1em}.cut span{white-space:pre-wrap;"
      "border-radius:3px;padding:1px 2px;margin:0 1px;display:inline-block}.cut i{font-size:.75em}"
      "</style>\n<h1>Tokenizers side by side</h1>\n";
  out += legend(names);
  out += bars("Characters a token", reports,
              [](const LanguageFigures& f) { return f.characters_per_token(); });
  out +=
      bars("Bytes a token", reports, [](const LanguageFigures& f) { return f.bytes_per_token(); });
  out += bars("Tokens a word", reports, [](const LanguageFigures& f) { return f.fertility(); });
  out += bars("Byte fallback, share of tokens", reports,
              [](const LanguageFigures& f) { return f.byte_rate(); });
  if (sizes.size() > 1) out += curve(reports);
  out += scripts_plot(reports) + table(reports) + "<h2>The same sentence, cut by each</h2>\n" +
         examples(reports, sentences);
  return out + "</html>\n";
}

}  // namespace tigerbot
