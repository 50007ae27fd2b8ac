#include "quant/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "base/html.h"
#include "base/text.h"

namespace tigerbot::quant {
namespace {

using OrderedJson = nlohmann::ordered_json;

/// The layers of one kind, "self_attn.q_proj", in the order of the blocks.
struct Kind {
  std::string name;
  std::vector<double> errors;
  std::vector<double> nearest;  ///< of round-to-nearest; empty where there is no baseline
};

/// "model.layers.3.mlp.up_proj" is "mlp.up_proj" of its block.
std::string kind_of(const std::string& layer) {
  std::size_t after_number = 0;
  for (std::size_t i = 0; i < layer.size(); ++i) {
    const std::size_t end = layer.find('.', i);
    if (end == std::string::npos) break;
    if (end > i && std::all_of(layer.begin() + static_cast<std::ptrdiff_t>(i),
                               layer.begin() + static_cast<std::ptrdiff_t>(end),
                               [](char c) { return c >= '0' && c <= '9'; })) {
      after_number = end + 1;
      break;
    }
    i = end;
  }
  return layer.substr(after_number);
}

std::vector<Kind> kinds_of(const OrderedJson& layers) {
  std::vector<Kind> kinds;
  for (const auto& layer : layers) {
    const std::string name = kind_of(layer["name"].get<std::string>());
    auto found = std::ranges::find(kinds, name, &Kind::name);
    if (found == kinds.end()) found = kinds.insert(kinds.end(), Kind{name, {}, {}});
    found->errors.push_back(layer["error"].get<double>());
    if (layer.contains("round_to_nearest_error")) {
      found->nearest.push_back(layer["round_to_nearest_error"].get<double>());
    }
  }
  return kinds;
}

/// Errors over blocks, in powers of ten: full lines ours, dashed ones round-to-nearest's.
std::string plot(const std::vector<Kind>& kinds) {
  constexpr std::array kColours = {"#1f6fb4", "#d95f02", "#1b9e77", "#7570b3",
                                   "#e7298a", "#66a61e", "#a6761d", "#666666"};
  constexpr double kWidth = 1100, kHeight = 340, kLeft = 62, kRight = 12, kTop = 10, kBottom = 32;
  double low = 1e300, high = 0;
  std::size_t blocks = 1;
  for (const Kind& kind : kinds) {
    blocks = std::max(blocks, kind.errors.size());
    for (const auto* values : {&kind.errors, &kind.nearest}) {
      for (const double value : *values) {
        if (!(value > 0)) continue;
        low = std::min(low, value), high = std::max(high, value);
      }
    }
  }
  if (high == 0) return "<p>No layer has an error.</p>\n";
  const double bottom = std::floor(std::log10(low)),
               top = std::max(std::ceil(std::log10(high)), bottom + 1);
  const auto px = [&](std::size_t block) {
    const double share =
        blocks > 1 ? static_cast<double>(block) / static_cast<double>(blocks - 1) : 0.5;
    return kLeft + 8 + share * (kWidth - kLeft - kRight - 16);
  };
  const auto py = [&](double value) {
    const double share = (std::log10(std::max(value, low)) - bottom) / (top - bottom);
    return kHeight - kBottom - share * (kHeight - kTop - kBottom);
  };
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">", kWidth, kHeight);
  for (double power = bottom; power <= top; ++power) {
    for (const int factor : {1, 2, 5}) {
      const double tick = factor * std::pow(10, power);
      if (std::log10(tick) > top + 1e-9) break;
      svg += fmt::format(
          "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
          "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.3g}</text>",
          kLeft, kWidth - kRight, py(tick), kLeft - 6, py(tick) + 4, tick);
    }
  }
  const std::size_t step = std::max<std::size_t>(1, blocks / 16);
  for (std::size_t block = 0; block < blocks; block += step) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", px(block),
                       kHeight - 10, block);
  }
  std::string legend = "<p>";
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const char* colour = kColours[k % kColours.size()];
    const auto line = [&](const std::vector<double>& values, const char* style) {
      std::string path;
      for (std::size_t i = 0; i < values.size(); ++i) {
        path += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", px(i), py(values[i]));
      }
      if (!path.empty())
        svg += fmt::format("<path d=\"{}\" stroke=\"{}\"{}/>", path, colour, style);
    };
    line(kinds[k].nearest, " stroke-dasharray=\"3 4\" opacity=\"0.6\"");
    line(kinds[k].errors, "");
    for (std::size_t i = 0; i < kinds[k].errors.size(); ++i) {
      svg += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"><title>{}, block {}: {:.6f}"
          "</title></circle>",
          px(i), py(kinds[k].errors[i]), colour, escape_html(kinds[k].name), i, kinds[k].errors[i]);
    }
    legend += fmt::format("<span class=\"key\" style=\"background:{}\"></span>{} &nbsp; ", colour,
                          escape_html(kinds[k].name));
  }
  return legend + "</p>" + svg + "</svg>\n";
}

std::string row(const std::vector<std::string>& cells, const char* tag = "td") {
  std::string out = "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    out += fmt::format("<{0}{1}>{2}</{0}>", tag, i > 0 ? " class=\"n\"" : "", cells[i]);
  }
  return out + "</tr>\n";
}

std::string change(double before, double after) {
  return before > 0 ? fmt::format("{:+.2f}%", (after / before - 1) * 100) : "";
}

std::string sizes(const OrderedJson& report) {
  const auto& bytes = report["bytes"];
  double weights = 0;
  for (const auto& layer : report["layers"]) {
    weights += layer["in_features"].get<double>() * layer["out_features"].get<double>();
  }
  const auto line = [&](const char* what, const char* before, const char* after) {
    const auto was = bytes[before].get<std::uint64_t>(), is = bytes[after].get<std::uint64_t>();
    return row(
        {what, format_bytes(was), format_bytes(is),
         fmt::format("{:.2f} times", static_cast<double>(was) /
                                         static_cast<double>(std::max<std::uint64_t>(is, 1)))});
  };
  return "<h2>Size</h2>\n<table>" + row({"", "before", "after", "smaller"}, "th") +
         line("quantized layers", "layers_before", "layers_after") +
         line("model", "model_before", "model_after") +
         fmt::format(
             "</table>\n<p>{:.3f} bits a weight of the quantized layers, scales, zeros and "
             "groups counted; embedding, output layer and norms are {}.</p>\n",
             bytes["layers_after"].get<double>() * 8 / weights,
             format_bytes(bytes["embedding_output_norms"].get<std::uint64_t>()));
}

std::string effect(const OrderedJson& report) {
  if (!report.contains("effect")) return "";
  const auto& measured = report["effect"];
  std::string out;
  if (measured.contains("languages")) {
    out += fmt::format(
        "<h2>Perplexity and next-token accuracy</h2>\n<p class=\"quiet\">Windows of {} tokens.</p>"
        "<table>",
        measured["context"].get<std::int64_t>());
    out +=
        row({"language", "text", "perplexity before", "after", "", "accuracy before", "after", ""},
            "th");
    for (const auto& [language, figures] : measured["languages"].items()) {
      const auto& before = figures["before"];
      const auto& after = figures["after"];
      const auto number = [](const OrderedJson& from, const char* key) {
        return from[key].get<double>();
      };
      out += row({escape_html(language.empty() ? "unknown" : language),
                  format_bytes(figures["bytes"].get<std::uint64_t>()),
                  fmt::format("{:.4f}", number(before, "perplexity")),
                  fmt::format("{:.4f}", number(after, "perplexity")),
                  change(number(before, "perplexity"), number(after, "perplexity")),
                  fmt::format("{:.2f}%", number(before, "next_token_accuracy") * 100),
                  fmt::format("{:.2f}%", number(after, "next_token_accuracy") * 100),
                  fmt::format("{:+.2f} points", (number(after, "next_token_accuracy") -
                                                 number(before, "next_token_accuracy")) *
                                                    100)});
    }
    out += "</table>\n";
  }
  if (measured.contains("speed")) {
    const auto& speed = measured["speed"];
    out += fmt::format(
        "<h2>Speed</h2>\n<p class=\"quiet\">Tokens a second on {} threads, the median of {}: a "
        "prompt of {} tokens, an answer of {}.</p><table>",
        speed["threads"].get<std::int64_t>(), speed["repetitions"].get<std::int64_t>(),
        speed["prompt_tokens"].get<std::int64_t>(), speed["new_tokens"].get<std::int64_t>());
    out += row({"", "before", "after", ""}, "th");
    for (const auto& [what, key] : {std::pair{"reading a prompt", "prefill_tokens_per_second"},
                                    std::pair{"writing an answer", "decode_tokens_per_second"}}) {
      const auto before = speed["before"][key].get<double>();
      const auto after = speed["after"][key].get<double>();
      out += row({what, fmt::format("{:.1f}", before), fmt::format("{:.1f}", after),
                  change(before, after)});
    }
    out += "</table>\n";
  }
  return out;
}

std::string settings(const OrderedJson& report) {
  std::string rows;
  for (const char* key : {"method", "bits", "group_size", "symmetric", "act_order", "damping",
                          "seed", "mean_error", "mean_round_to_nearest_error"}) {
    if (!report.contains(key)) continue;
    std::string words = key;
    std::ranges::replace(words, '_', ' ');
    const auto& value = report[key];
    rows += row(
        {words, escape_html(value.is_string()         ? value.get<std::string>()
                            : value.is_number_float() ? fmt::format("{:.4g}", value.get<double>())
                                                      : value.dump())});
  }
  if (report.contains("calibration")) {
    const auto& calibration = report["calibration"];
    std::string languages;
    for (const auto& [language, count] : calibration["samples_by_language"].items()) {
      languages += fmt::format("{}{}: {}", languages.empty() ? "" : ", ", language,
                               count.get<std::int64_t>());
    }
    rows += row({"calibration",
                 escape_html(fmt::format("{} samples of {} tokens ({})",
                                         calibration["samples"].get<std::int64_t>(),
                                         calibration["context"].get<std::int64_t>(), languages))});
  }
  rows += row({"time", format_duration(report["seconds"].get<double>())});
  return "<table>" + rows + "</table>\n";
}

std::string layer_table(const OrderedJson& report) {
  const bool baseline = report.contains("mean_round_to_nearest_error");
  std::vector<std::string> head{"layer", "features", "size", "error"};
  if (baseline) head.insert(head.end(), {"round to nearest", "share of it"});
  std::string out = "<h2>Layers</h2>\n<table>" + row(head, "th");
  for (const auto& layer : report["layers"]) {
    const auto error = layer["error"].get<double>();
    std::vector<std::string> cells{escape_html(layer["name"].get<std::string>()),
                                   fmt::format("{} x {}", layer["out_features"].get<std::int64_t>(),
                                               layer["in_features"].get<std::int64_t>()),
                                   format_bytes(layer["bytes"].get<std::uint64_t>()),
                                   fmt::format("{:.6f}", error)};
    if (baseline) {
      const auto nearest = layer["round_to_nearest_error"].get<double>();
      cells.push_back(fmt::format("{:.6f}", nearest));
      cells.push_back(nearest > 0 ? fmt::format("{:.0f}%", 100 * error / nearest) : "");
    }
    out += row(cells);
  }
  return out + "</table>\n";
}

}  // namespace

std::string report_page(const OrderedJson& report, const std::string& title) {
  const bool calibrated = report.contains("calibration");
  std::string page = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}: quantization"
      "</title><style>:root{{color-scheme:light dark;--quiet:#66666e;--line:#d9d9de}}"
      "@media(prefers-color-scheme:dark){{:root{{--quiet:#a0a0aa;--line:#3a3a42}}}}"
      "body{{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}}"
      "h1{{font-size:1.6em}}h2{{margin:1.6em 0 .3em;font-size:1.2em}}.quiet{{color:var(--quiet)}}"
      "table{{border-collapse:collapse}}th,td{{text-align:left;padding:3px 18px 3px 0;"
      "border-bottom:1px solid var(--line)}}th{{color:var(--quiet);font-weight:500}}"
      ".n{{text-align:right;font-variant-numeric:tabular-nums}}svg{{width:100%}}"
      "svg text{{font:11px system-ui,sans-serif;fill:currentColor}}path{{fill:none;"
      "stroke-width:1.6}}.grid{{stroke:var(--line)}}.key{{display:inline-block;width:10px;"
      "height:10px;border-radius:2px;margin-right:5px}}</style></head><body><h1>{0}</h1>\n",
      escape_html(title));
  page += settings(report);
  page += effect(report);
  page += sizes(report);
  page += fmt::format(
      "<h2>Error by layer</h2>\n<p class=\"quiet\">{} over the blocks of the model.{}</p>\n",
      calibrated ? "Squared error of the layer's output on the calibration set, as a share of the "
                   "output's square,"
                 : "Squared error of the weights, as a share of their square,",
      calibrated ? " Dashed: rounding every weight to its nearest code." : "");
  page += plot(kinds_of(report["layers"]));
  page += layer_table(report);
  return page + "</body></html>\n";
}

}  // namespace tigerbot::quant
