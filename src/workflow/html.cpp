#include "workflow/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/html.h"
#include "base/text.h"

namespace tigerbot::workflow::html {
namespace {

constexpr std::size_t kLongList = 30;

std::string scalar(const Json& value) {
  if (value.is_string()) return escape(value.get<std::string>());
  if (value.is_number_unsigned()) return format_count(value.get<std::uint64_t>());
  if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    return number < 0 ? "-" + format_count(static_cast<std::uint64_t>(-number))
                      : format_count(static_cast<std::uint64_t>(number));
  }
  if (value.is_number_float()) {
    const double number = value.get<double>();
    const double size = std::fabs(number);
    return size != 0 && (size < 1e-3 || size >= 1e7) ? fmt::format("{:.4g}", number)
                                                     : fmt::format("{:.5g}", number);
  }
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return "";
}

/// A list of objects that have only scalars: one row each.
bool is_flat_list(const Json& value) {
  if (!value.is_array() || value.empty()) return false;
  for (const Json& entry : value) {
    if (!entry.is_object()) return false;
    for (const auto& [key, field] : entry.items()) {
      if (field.is_structured()) return false;
    }
  }
  return true;
}

std::string flat_list(const Json& list) {
  std::vector<std::string> names;
  for (const Json& entry : list) {
    for (const auto& [key, field] : entry.items()) {
      if (std::find(names.begin(), names.end(), key) == names.end()) names.push_back(key);
    }
  }
  std::string out = "<table><tr>";
  for (const std::string& name : names) out += "<th>" + escape(name) + "</th>";
  out += "</tr>\n";
  for (const Json& entry : list) {
    out += "<tr>";
    for (const std::string& name : names) {
      const bool number = entry.contains(name) && entry[name].is_number();
      out += number ? "<td class=\"number\">" : "<td>";
      out += scalar(entry.value(name, Json())) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

}  // namespace

std::string escape(std::string_view text) { return escape_html(text); }

std::string table_of(const Json& value) {
  if (!value.is_structured()) return scalar(value);
  if (value.empty()) return "";
  if (is_flat_list(value)) {
    const std::string list = flat_list(value);
    if (value.size() <= kLongList) return list;
    return folded(fmt::format("{} rows", value.size()), list);
  }
  if (value.is_array()) {
    std::string out;
    for (const Json& entry : value) {
      out += entry.is_structured() ? table_of(entry) : scalar(entry) + "<br>";
    }
    return value.size() <= kLongList ? out : folded(fmt::format("{} entries", value.size()), out);
  }
  std::string out = "<table>";
  for (const auto& [key, field] : value.items()) {
    out += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escape(key), table_of(field));
  }
  out += "</table>\n";
  return value.size() <= kLongList ? out : folded(fmt::format("{} entries", value.size()), out);
}

std::string embedded_page(const std::string& page) {
  std::string quoted;
  quoted.reserve(page.size() + page.size() / 8);
  for (const char c : page) {
    if (c == '&') {
      quoted += "&amp;";
    } else if (c == '"') {
      quoted += "&quot;";
    } else {
      quoted += c;
    }
  }
  return "<iframe sandbox=\"allow-same-origin allow-scripts\" onload=\"fit(this)\" srcdoc=\"" +
         quoted + "\"></iframe>\n";
}

std::string folded(const std::string& heading, const std::string& body, bool open) {
  return fmt::format(
      "<details{} ontoggle=\"for(const f of this.querySelectorAll('iframe'))fit(f)\">"
      "<summary>{}</summary>\n{}</details>\n",
      open ? " open" : "", escape(heading), body);
}

std::string text_block(std::string_view text) { return "<pre>" + escape(text) + "</pre>\n"; }

std::string head(const std::string& title) {
  return "<meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>" +
         escape(title) +
         "</title>\n<style>"
         ":root{color-scheme:light dark;--line:#d9d9de;--quiet:#66666e;--soft:#f5f5f8;"
         "--accent:#d9730d}"
         "@media(prefers-color-scheme:dark){:root{--line:#3a3a42;--quiet:#a0a0aa;--soft:#202026}}"
         "body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:1.5em auto;padding:0 1em}"
         "h1{font-size:1.7em;margin:0}h2{font-size:1.25em;margin:1.8em 0 .5em}"
         "h3{font-size:1em;margin:1em 0 .3em}"
         ".quiet{color:var(--quiet)}table{border-collapse:collapse;margin:.3em 0}"
         "th,td{text-align:left;padding:3px 14px 3px 0;vertical-align:top;"
         "border-bottom:1px solid var(--line)}th{color:var(--quiet);font-weight:500}"
         ".number{text-align:right;font-variant-numeric:tabular-nums}"
         "code,pre,.hash{font:12.5px/1.45 ui-monospace,monospace}"
         "pre{background:var(--soft);padding:10px;overflow:auto;white-space:pre-wrap;"
         "max-height:32em}.hash{color:var(--quiet)}"
         "details{margin:.4em 0}summary{cursor:pointer;font-weight:500}"
         "iframe{width:100%;border:0;min-height:120px}"
         "section{border-top:2px solid var(--line);margin-top:1.6em}"
         ".bar{display:inline-block;height:9px;background:var(--accent);border-radius:2px;"
         "margin-right:6px}"
         "</style>\n<script>function fit(f){const d=f.contentDocument;if(d&&d.documentElement)"
         "f.style.height=Math.max(120,d.documentElement.scrollHeight+8)+'px'}</script>\n";
}

}  // namespace tigerbot::workflow::html
