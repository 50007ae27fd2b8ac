#include "train/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "base/html.h"

namespace tigerbot::train {
namespace {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

std::string number(double value) {
  const double size = std::fabs(value);
  if (size != 0 && (size < 1e-3 || size >= 1e6)) return fmt::format("{:.3g}", value);
  return fmt::format("{:.4g}", value);
}

/// At most `count` points, each the mean of its part of the curve.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               std::size_t count) {
  if (points.size() <= count) return points;
  std::vector<std::pair<double, double>> result;
  for (std::size_t part = 0; part < count; ++part) {
    const std::size_t begin = part * points.size() / count;
    const std::size_t end = (part + 1) * points.size() / count;
    double x = 0, y = 0;
    for (std::size_t i = begin; i < end; ++i) x += points[i].first, y += points[i].second;
    const auto n = static_cast<double>(end - begin);
    result.emplace_back(x / n, y / n);
  }
  return result;
}

/// A round step that cuts `range` into about five.
double tick_step(double range) {
  const double raw = range / 5;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) return factor * power;
  }
  return 10 * power;
}

std::string plot(const std::string& title, const std::vector<Curve>& curves) {
  constexpr std::array kColours = {"#1f6fb4", "#d95f02", "#1b9e77", "#7570b3",
                                   "#e7298a", "#66a61e", "#a6761d", "#666666"};
  constexpr double kWidth = 640, kHeight = 260, kLeft = 64, kRight = 12, kTop = 28, kBottom = 30;
  double left = 1e300, right = -1e300, low = 1e300, high = -1e300;
  for (const Curve& curve : curves) {
    for (const auto& point : curve.points) {
      if (!std::isfinite(point.second)) continue;
      left = std::min(left, point.first), right = std::max(right, point.first);
      low = std::min(low, point.second), high = std::max(high, point.second);
    }
  }
  if (left > right) return "";
  if (right == left) right = left + 1;
  if (high == low) high = low + (low == 0 ? 1 : std::fabs(low) * 0.1);
  const auto px = [&](double x) {
    return kLeft + (x - left) / (right - left) * (kWidth - kLeft - kRight);
  };
  const auto py = [&](double y) {
    return kHeight - kBottom - (y - low) / (high - low) * (kHeight - kTop - kBottom);
  };
  std::string svg =
      fmt::format("<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {} {}\" role=\"img\">",
                  escape_html(title), kWidth, kHeight);
  const double dy = tick_step(high - low);
  for (double y = std::ceil(low / dy) * dy; y <= high + dy * 1e-9; y += dy) {
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>",
        kLeft, kWidth - kRight, py(y), kLeft - 6, py(y) + 4,
        number(std::fabs(y) < dy / 1e6 ? 0 : y));
  }
  const double dx = std::max(1.0, tick_step(right - left));
  for (double x = std::ceil(left / dx) * dx; x <= right + dx * 1e-9; x += dx) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", px(x),
                       kHeight - 10, number(x));
  }
  double legend = kLeft;
  for (std::size_t c = 0; c < curves.size(); ++c) {
    const char* colour = kColours[c % kColours.size()];
    std::string path;
    for (const auto& point : thinned(curves[c].points, 400)) {
      if (!std::isfinite(point.second)) continue;
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", px(point.first),
                          py(point.second));
    }
    svg += fmt::format("<path d=\"{}\" stroke=\"{}\"/>", path, colour);
    if (curves[c].points.size() == 1) {
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>",
                         px(curves[c].points[0].first), py(curves[c].points[0].second), colour);
    }
    if (curves.size() > 1) {
      svg += fmt::format(
          "<rect x=\"{:.0f}\" y=\"10\" width=\"10\" height=\"10\" fill=\"{}\"/>"
          "<text x=\"{:.0f}\" y=\"19\">{}</text>",
          legend, colour, legend + 14, escape_html(curves[c].name));
      legend += 30 + 7.0 * static_cast<double>(curves[c].name.size());
    }
  }
  return svg + "</svg></figure>\n";
}

std::string table(const Json& object) {
  std::string rows;
  for (const auto& [key, value] : object.items()) {
    rows += fmt::format("<tr><th>{}</th><td>{}</td></tr>", escape_html(key),
                        escape_html(value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return "<table>" + rows + "</table>\n";
}

/// The curve of one number of one kind of line.
Curve curve_of(const std::vector<Json>& lines, const char* kind, const char* key) {
  Curve curve{key, {}};
  for (const Json& line : lines) {
    if (line.value("kind", "") != kind || !line.contains(key) || !line[key].is_number()) continue;
    curve.points.emplace_back(line["step"].get<double>(), line[key].get<double>());
  }
  return curve;
}

/// The curves of an object of numbers, one for each of its keys.
std::vector<Curve> curves_of(const std::vector<Json>& lines, const char* kind, const char* key) {
  std::map<std::string, Curve> curves;
  for (const Json& line : lines) {
    if (line.value("kind", "") != kind || !line.contains(key) || !line[key].is_object()) continue;
    for (const auto& [name, value] : line[key].items()) {
      if (!value.is_number()) continue;
      Curve& curve = curves[name];
      curve.name = name;
      curve.points.emplace_back(line["step"].get<double>(), value.get<double>());
    }
  }
  std::vector<Curve> list;
  for (auto& [name, curve] : curves) list.push_back(std::move(curve));
  return list;
}

}  // namespace

std::string html_report(const ReportContents& contents) {
  const std::vector<Json>& lines = contents.metrics;
  std::string page = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title><style>"
      "body{{font:15px/1.5 system-ui,sans-serif;max-width:1360px;margin:2em auto;padding:0 1em;"
      "color:#222}}h1{{font-size:1.6em}}h2{{margin-top:1.6em;font-size:1.2em}}"
      "figure{{display:inline-block;width:640px;max-width:100%;margin:0 8px 16px 0}}"
      "figcaption{{font-weight:600}}svg{{width:100%}}svg text{{font:11px system-ui;fill:#555}}"
      "path{{fill:none;stroke-width:1.6}}.grid{{stroke:#e5e5e5}}table{{border-collapse:collapse}}"
      "th,td{{text-align:left;padding:2px 12px 2px 0;vertical-align:top;font-weight:400}}"
      "th{{color:#666}}pre{{background:#f6f6f6;padding:10px;overflow:auto;white-space:pre-wrap}}"
      "</style></head><body><h1>{0}</h1>\n",
      escape_html(contents.title));
  page += table(contents.summary);
  page += "<h2>Curves</h2>\n";
  page += plot("Training loss", {curve_of(lines, "train", "loss")});
  if (const auto by_source = curves_of(lines, "train", "loss_by_source"); by_source.size() > 1) {
    page += plot("Training loss by source", by_source);
  }
  page += plot("Validation loss", curves_of(lines, "validation", "loss"));
  page += plot("Validation loss by language", curves_of(lines, "validation", "loss_by_language"));
  page += plot("Next-token accuracy", curves_of(lines, "validation", "next_token_accuracy"));
  page += plot("Learning rate", {curve_of(lines, "train", "learning_rate")});
  page += plot("Gradient norm", {curve_of(lines, "train", "gradient_norm")});
  page += plot("Tokens a second", {curve_of(lines, "train", "tokens_per_second")});
  std::string samples;
  for (const Json& line : lines) {
    if (line.value("kind", "") != "sample") continue;
    samples +=
        fmt::format("<h3>Step {}</h3><pre><b>{}</b>\n{}</pre>\n", line["step"].get<std::int64_t>(),
                    escape_html(line.value("prompt", "")), escape_html(line.value("text", "")));
  }
  if (!samples.empty()) page += "<h2>Samples</h2>\n" + samples;
  std::string events;
  for (const Json& line : lines) {
    if (line.value("kind", "") != "event") continue;
    events += fmt::format("<tr><td>step {}</td><td>{}</td></tr>", line["step"].get<std::int64_t>(),
                          escape_html(line.value("what", "")));
  }
  if (!events.empty()) page += "<h2>Events</h2>\n<table>" + events + "</table>\n";
  page += "<h2>Data</h2>\n<pre>" + escape_html(contents.manifest.dump(2)) + "</pre>\n";
  page += "<h2>Recipe</h2>\n<pre>" + escape_html(contents.recipe) + "</pre>\n";
  page += "<h2>Versions</h2>\n" + table(contents.versions);
  return page + "</body></html>\n";
}

}  // namespace tigerbot::train
