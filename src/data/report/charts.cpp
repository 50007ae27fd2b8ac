#include "data/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/html.h"
#include "data/report/html.h"

namespace tigerbot::data::html {
namespace {

constexpr std::size_t kColours = 7;

std::string colour(std::size_t k) {
  return k < kColours ? fmt::format("var(--c{})", k + 1) : "var(--other)";
}

std::string legend(const std::vector<Slice>& slices) {
  std::string out = "<ul class=\"legend\">";
  for (std::size_t k = 0; k < slices.size(); ++k)
    out += fmt::format(
        "<li><span class=\"key\" style=\"background:{}\"></span>{}<span class=\"note\">{}</span>"
        "</li>",
        colour(k), escape_html(slices[k].name), escape_html(slices[k].note));
  return out + "</ul>";
}

/// The ring's part from `begin` to `end` (of the circle, from the top, clockwise).
std::string arc(double begin, double end, const std::string& fill, const std::string& title) {
  constexpr double kOuter = 96, kInner = 58;
  const auto point = [](double turn, double radius) {
    const double angle = 2 * std::numbers::pi * turn;
    return fmt::format("{:.2f} {:.2f}", 100 + radius * std::sin(angle),
                       100 - radius * std::cos(angle));
  };
  // A whole circle has no arc from a point to itself.
  if (end - begin > 0.9999)
    return fmt::format(
        "<circle cx=\"100\" cy=\"100\" r=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\">"
        "<title>{}</title></circle>",
        (kOuter + kInner) / 2, fill, kOuter - kInner, escape_html(title));
  const int large = end - begin > 0.5 ? 1 : 0;
  return fmt::format(
      "<path d=\"M{} A{} {} 0 {} 1 {} L{} A{} {} 0 {} 0 {}Z\" fill=\"{}\"><title>{}</title></path>",
      point(begin, kOuter), kOuter, kOuter, large, point(end, kOuter), point(end, kInner), kInner,
      kInner, large, point(begin, kInner), fill, escape_html(title));
}

}  // namespace

std::string ring_chart(std::vector<Slice> slices, const std::string& middle) {
  std::stable_sort(slices.begin(), slices.end(),
                   [](const Slice& a, const Slice& b) { return a.amount > b.amount; });
  double total = 0;
  for (const Slice& slice : slices) total += slice.amount;
  if (total <= 0) return "<p class=\"quiet\">Nothing to show.</p>";
  if (slices.size() > kColours + 1) {
    Slice other{"other", 0, ""};
    for (std::size_t k = kColours; k < slices.size(); ++k) other.amount += slices[k].amount;
    other.note = percent(other.amount / total);
    slices.resize(kColours);
    slices.push_back(other);
  }
  std::string out = "<div class=\"ring\"><svg viewBox=\"0 0 200 200\" role=\"img\">";
  double begin = 0;
  for (std::size_t k = 0; k < slices.size(); ++k) {
    const double end = begin + slices[k].amount / total;
    if (slices[k].amount > 0)
      out += arc(begin, end, colour(k), slices[k].name + ": " + slices[k].note);
    begin = end;
  }
  const auto cut = middle.find('\n');
  out += fmt::format(
      "<text x=\"100\" y=\"98\" class=\"big\">{}</text><text x=\"100\" y=\"117\">{}</text></svg>{}"
      "</div>",
      escape_html(middle.substr(0, cut)),
      cut == std::string::npos ? "" : escape_html(middle.substr(cut + 1)), legend(slices));
  return out;
}

std::string bar_chart(const std::vector<Slice>& bars) {
  double largest = 0;
  for (const Slice& bar : bars) largest = std::max(largest, bar.amount);
  std::string out = "<div class=\"bars\">";
  for (const Slice& bar : bars)
    out += fmt::format(
        "<div class=\"name\">{0}</div><div class=\"track\"><div class=\"bar\" "
        "style=\"width:{1:.2f}%\" title=\"{0}: {2}\"></div></div><div class=\"note\">{2}</div>",
        escape_html(bar.name), largest > 0 ? bar.amount / largest * 100 : 0, escape_html(bar.note));
  return out + "</div>";
}

std::string stacked_bars(const std::vector<std::string>& names,
                         const std::vector<StackedRow>& rows) {
  double largest = 0;
  for (const StackedRow& row : rows) {
    double sum = 0;
    for (const double part : row.parts) sum += part;
    largest = std::max(largest, sum);
  }
  std::vector<Slice> keys;
  for (const std::string& name : names) keys.push_back({name, 0, ""});
  std::string out = legend(keys) + "<div class=\"bars\">";
  for (const StackedRow& row : rows) {
    out += fmt::format("<div class=\"name\">{}</div><div class=\"track stack\">",
                       escape_html(row.name));
    for (std::size_t k = 0; k < row.parts.size(); ++k)
      if (row.parts[k] > 0)
        out += fmt::format(
            "<div class=\"bar\" style=\"width:{:.3f}%;background:{}\" title=\"{}: {}\"></div>",
            row.parts[k] / largest * 100, colour(k), escape_html(names[k]),
            short_count(row.parts[k]));
    out += fmt::format("</div><div class=\"note\">{}</div>", escape_html(row.note));
  }
  return out + "</div>";
}

std::string column_chart(const Columns& columns) {
  constexpr double kWidth = 420, kHeight = 150, kLeft = 40, kBottom = 22, kTop = 8;
  double largest = 0;
  for (std::size_t k = 0; k < columns.first.size(); ++k)
    largest =
        std::max({largest, columns.first[k], k < columns.second.size() ? columns.second[k] : 0.0});
  if (largest <= 0) return "";
  std::string out =
      fmt::format("<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {} {}\" role=\"img\">",
                  escape_html(columns.title), kWidth, kHeight);
  const double room = kHeight - kBottom - kTop;
  for (const double part : {0.0, 0.5, 1.0})
    out += fmt::format(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" class=\"grid\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" class=\"axis end\">{5}</text>",
        kLeft, kWidth, kTop + room * (1 - part), kLeft - 5, kTop + room * (1 - part) + 3,
        short_count(largest * part));
  const double step = (kWidth - kLeft) / static_cast<double>(columns.first.size());
  const bool two = !columns.second.empty();
  for (std::size_t k = 0; k < columns.first.size(); ++k) {
    const double x = kLeft + step * static_cast<double>(k);
    const auto column = [&](double amount, double at, double width, const char* fill,
                            const std::string& name) {
      if (amount <= 0) return;
      const double height = std::max(room * amount / largest, 1.0);
      out += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" "
          "rx=\"1\"><title>{}{}: {:.0f}</title></rect>",
          at, kTop + room - height, width, height, fill, escape_html(name),
          escape_html(columns.hover[k]), amount);
    };
    const double gap = std::min(2.0, step * 0.15), width = step - gap;
    if (two) {
      column(columns.first[k], x + gap / 2, width / 2, "var(--c1)", columns.first_name + ", ");
      column(columns.second[k], x + gap / 2 + width / 2, width / 2, "var(--c2)",
             columns.second_name + ", ");
    } else {
      column(columns.first[k], x + gap / 2, width, "var(--c1)", "");
    }
    if (!columns.labels[k].empty())
      out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" class=\"axis\">{}</text>", x + step / 2,
                         kHeight - 7, escape_html(columns.labels[k]));
  }
  out += "</svg>";
  if (two)
    out += fmt::format(
        "<ul class=\"legend flat\"><li><span class=\"key\" style=\"background:var(--c1)\"></span>"
        "{}</li><li><span class=\"key\" style=\"background:var(--c2)\"></span>{}</li></ul>",
        escape_html(columns.first_name), escape_html(columns.second_name));
  return out + "</figure>";
}

}  // namespace tigerbot::data::html
