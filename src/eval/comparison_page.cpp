#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/html.h"
#include "eval/comparison.h"

namespace tigerbot {
namespace {

std::string escape(std::string_view text) { return escape_html(text); }

std::string name_of(const std::string& language) {
  if (language == "en") return "English";
  if (language == "zh") return "Chinese";
  if (language == "zh-Hant") return "Chinese, traditional";
  if (language == "ja") return "Japanese";
  if (language == "ko") return "Korean";
  return language.empty() ? "unknown" : language;
}

using Figure = std::function<std::string(const Json& figures, const Json& first)>;

/// A table of one figure: models down, languages across.
std::string table(const Json& comparison, const std::string& title, const std::string& note,
                  const Figure& figure) {
  std::string out = fmt::format("<h3>{}</h3><p class=\"quiet\">{}</p><table><tr><th></th>",
                                escape(title), escape(note));
  for (const auto& [language, about] : comparison["languages"].items()) {
    out += "<th class=\"n\">" + escape(name_of(language)) + "</th>";
  }
  out += "</tr>\n";
  const Json& first = comparison["models"].front();
  for (const Json& model : comparison["models"]) {
    out += "<tr><td>" + escape(model["name"].get<std::string>()) + "</td>";
    for (const auto& [language, figures] : model["languages"].items()) {
      out += "<td class=\"n\">" + figure(figures, first["languages"][language]) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

/// Bits a byte: a group of bars for each language, a bar for each model.
std::string bars(const Json& comparison) {
  static const std::vector<std::string> kColours{"#8a8a94", "#4c78a8", "#54a24b", "#d9730d",
                                                 "#b279a2", "#e45756", "#72b7b2", "#9d755d"};
  constexpr double kWidth = 1100, kHeight = 230, kTop = 14, kBottom = 26, kLeft = 34;
  const Json& models = comparison["models"];
  double highest = 0;
  for (const Json& model : models) {
    for (const auto& [language, figures] : model["languages"].items()) {
      highest = std::max(highest, figures["bits_per_byte"].get<double>());
    }
  }
  std::string legend = "<p>";
  for (std::size_t m = 0; m < models.size(); ++m) {
    legend +=
        fmt::format("<span class=\"key\" style=\"background:{}\"></span>{} &nbsp; ",
                    kColours[m % kColours.size()], escape(models[m]["name"].get<std::string>()));
  }
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">", kWidth, kHeight);
  const auto y = [&](double value) {
    return kHeight - kBottom - value / highest * (kHeight - kTop - kBottom);
  };
  for (double tick = 0; tick <= highest; tick += highest > 3 ? 1 : 0.5) {
    svg += fmt::format(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" class=\"grid\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.1f}</text>",
        kLeft, kWidth, y(tick), kLeft - 5, y(tick) + 4, tick);
  }
  const auto groups = static_cast<double>(comparison["languages"].size());
  const double group = (kWidth - kLeft) / groups;
  const double bar = group * 0.8 / static_cast<double>(models.size());
  std::size_t g = 0;
  for (const auto& [language, about] : comparison["languages"].items()) {
    const double left = kLeft + group * (static_cast<double>(g++) + 0.1);
    for (std::size_t m = 0; m < models.size(); ++m) {
      const double value = models[m]["languages"][language]["bits_per_byte"];
      const double x = left + bar * static_cast<double>(m);
      svg += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\">"
          "<title>{}, {}: {:.3f} bits a byte</title></rect>"
          "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" class=\"value\">{:.2f}</text>",
          x, y(value), bar - 2, kHeight - kBottom - y(value), kColours[m % kColours.size()],
          escape(models[m]["name"].get<std::string>()), escape(name_of(language)), value,
          x + bar / 2 - 1, y(value) - 3, value);
    }
    svg +=
        fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\" class=\"name\">{}</text>",
                    left + group * 0.4, kHeight - 8, escape(name_of(language)));
  }
  return "<h3>Bits a byte of held-out text (lower is better)</h3>" + legend + "</p>" + svg +
         "</svg>\n";
}

std::string answers(const Json& comparison) {
  const Json& models = comparison["models"];
  if (models.front()["answers"].empty()) return "";
  std::string out =
      "<h3>The same questions</h3><p class=\"quiet\">The likeliest token always; nothing is "
      "edited.</p><div class=\"wide\"><table class=\"answers\"><tr><th></th>";
  for (const Json& model : models) {
    out += "<th>" + escape(model["name"].get<std::string>()) + "</th>";
  }
  out += "</tr>\n";
  for (std::size_t k = 0; k < models.front()["answers"].size(); ++k) {
    out += "<tr><th>" + escape(models.front()["answers"][k]["prompt"].get<std::string>()) + "</th>";
    for (const Json& model : models) {
      const Json& answer = model["answers"][k];
      out += "<td>" + escape(answer["text"].get<std::string>()) +
             (answer["finish_reason"] == "length" ? " <span class=\"quiet\">[…]</span>" : "") +
             "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string pairs(const Json& comparison) {
  if (comparison["pairs"].empty()) return "";
  std::string out =
      "<h3>One beside another</h3><p class=\"quiet\">Perplexity a byte, how much higher or "
      "lower.</p><table><tr><th></th>";
  for (const auto& [language, about] : comparison["languages"].items()) {
    out += "<th class=\"n\">" + escape(name_of(language)) + "</th>";
  }
  out += "</tr>\n";
  for (const Json& pair : comparison["pairs"]) {
    out += fmt::format("<tr><td>{} against {}</td>", escape(pair["model"].get<std::string>()),
                       escape(pair["against"].get<std::string>()));
    for (const auto& [language, ratio] : pair["ratios"].items()) {
      out += fmt::format("<td class=\"n\">{:+.1f}%</td>", (ratio.get<double>() - 1) * 100);
    }
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

}  // namespace

std::string comparison_page(const Json& comparison) {
  std::string page =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Models side by side"
      "</title><style>:root{color-scheme:light dark;--quiet:#66666e;--line:#d9d9de}"
      "@media(prefers-color-scheme:dark){:root{--quiet:#a0a0aa;--line:#3a3a42}}"
      "body{font:14px/1.5 system-ui,sans-serif;margin:0}h3{margin:1.1em 0 .1em;font-size:1.05em}"
      "p{margin:.1em 0 .3em}.quiet{color:var(--quiet)}table{border-collapse:collapse}"
      "th,td{text-align:left;padding:3px 16px 3px 0;vertical-align:top;"
      "border-bottom:1px solid var(--line)}th{color:var(--quiet);font-weight:500}"
      ".n{text-align:right;font-variant-numeric:tabular-nums}svg{width:100%;max-width:1100px}"
      "svg text{font:11px system-ui,sans-serif;fill:currentColor}svg .value{font-size:9px}"
      "svg .name{font-size:13px}.grid{stroke:var(--line)}.key{display:inline-block;width:10px;"
      "height:10px;border-radius:2px;margin-right:5px}.wide{overflow-x:auto}"
      ".answers{table-layout:fixed;width:100%;min-width:1100px}.answers th:first-child{width:105px}"
      ".answers td{white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px}"
      "</style></head><body>\n";
  page += bars(comparison);
  page += table(comparison, "Perplexity a byte",
                "Of text that no stage has seen; behind it, the change against the first model.",
                [](const Json& figures, const Json& first) {
                  const double value = figures["perplexity_per_byte"];
                  const double before = first["perplexity_per_byte"];
                  return fmt::format("{:.3f} <span class=\"quiet\">{:+.1f}%</span>", value,
                                     (value / before - 1) * 100);
                });
  page += pairs(comparison);
  page += table(comparison, "Characters a token", "ASCII left out in brackets.",
                [](const Json& figures, const Json&) {
                  return fmt::format("{:.2f} <span class=\"quiet\">({:.2f})</span>",
                                     figures["characters_per_token"].get<double>(),
                                     figures["characters_per_token_without_ascii"].get<double>());
                });
  page += table(comparison, "Next-token accuracy",
                "How often the likeliest token is the right one. Comparable only between models "
                "with the same tokenizer.",
                [](const Json& figures, const Json&) {
                  return fmt::format("{:.1f}%", figures["next_token_accuracy"].get<double>() * 100);
                });
  page += answers(comparison);
  return page + "</body></html>\n";
}

}  // namespace tigerbot
