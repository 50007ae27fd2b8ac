#include "data/readers/html_markup.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace tigerbot::data {
namespace {

constexpr int kMaxDepth = 400;
constexpr int kMaxTags = 200000;
constexpr std::size_t kMaxAttributeBytes = 2048;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

template <std::size_t N>
bool any_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 14> kKeptAttributes{
    "class",   "id",   "role",     "style",   "hidden",     "aria-hidden", "lang",
    "charset", "name", "property", "content", "http-equiv", "start",       "rel"};

// No text of ours lies in them: they go with all that is inside.
constexpr std::array<std::string_view, 6> kDropped{"script", "style",    "noscript",
                                                   "iframe", "noframes", "template"};

// Emphasis, which the text does not show. `a` stays: links tell navigation from text.
constexpr std::array<std::string_view, 20> kTransparent{
    "b",      "big", "code", "em",  "font", "i",   "nobr", "s",   "small", "strike",
    "strong", "tt",  "u",    "kbd", "samp", "var", "cite", "ins", "mark",  "abbr"};

constexpr std::array<std::string_view, 14> kVoid{"area",  "base",   "br",    "col",  "embed",
                                                 "hr",    "img",    "input", "link", "meta",
                                                 "param", "source", "track", "wbr"};

// Their end tags may be left out, so counting them says nothing of the nesting.
constexpr std::array<std::string_view, 12> kEndsItself{
    "p", "li", "dt", "dd", "tr", "td", "th", "option", "thead", "tbody", "tfoot", "html"};

struct Tag {
  std::string name;
  bool end = false;
  std::string attributes;  ///< the kept ones, ` name="value"`
  std::size_t after = 0;   ///< where the markup goes on
};

/// `value` in double quotes.
void append_attribute(std::string& out, std::string_view name, std::string_view value) {
  if (out.size() + value.size() > kMaxAttributeBytes) return;
  out += ' ';
  out += name;
  out += "=\"";
  for (const char c : value) {
    if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  out += '"';
}

/// The tag that begins at `at` with "<" and a letter, or "</" and a letter.
Tag read_tag(std::string_view html, std::size_t at) {
  Tag tag;
  ++at;
  if (html[at] == '/') {
    tag.end = true;
    ++at;
  }
  while (at < html.size() && !is_space(html[at]) && html[at] != '>' && html[at] != '/') {
    if (tag.name.size() < 40) tag.name += lower(html[at]);
    ++at;
  }
  std::string name;
  while (at < html.size() && html[at] != '>') {
    if (is_space(html[at]) || html[at] == '/') {
      ++at;
      continue;
    }
    name.clear();
    do {
      if (name.size() < 40) name += lower(html[at]);
      ++at;
    } while (at < html.size() && !is_space(html[at]) && html[at] != '>' && html[at] != '/' &&
             html[at] != '=');
    std::size_t next = at;
    while (next < html.size() && is_space(html[next])) ++next;
    std::string_view value;
    if (next < html.size() && html[next] == '=') {
      at = next + 1;
      while (at < html.size() && is_space(html[at])) ++at;
      if (at < html.size() && (html[at] == '"' || html[at] == '\'')) {
        const auto close = std::min(html.find(html[at], at + 1), html.size());
        value = html.substr(at + 1, close - at - 1);
        at = std::min(close + 1, html.size());
      } else {
        const auto begin = at;
        while (at < html.size() && !is_space(html[at]) && html[at] != '>') ++at;
        value = html.substr(begin, at - begin);
      }
    }
    if (!tag.end && any_of(kKeptAttributes, name) &&
        tag.attributes.find(" " + name + "=") == std::string::npos)
      append_attribute(tag.attributes, name, value);
  }
  tag.after = std::min(at + 1, html.size());
  return tag;
}

/// Where "</name" stands, from `at` on, or npos.
std::size_t find_end_tag(std::string_view html, std::size_t at, std::string_view name) {
  while (true) {
    at = html.find("</", at);
    if (at == std::string_view::npos) return at;
    const auto found = html.substr(at + 2, name.size());
    if (found.size() == name.size() && std::equal(found.begin(), found.end(), name.begin(),
                                                  [](char a, char b) { return lower(a) == b; }))
      return at;
    at += 2;
  }
}

/// Searches that go forward over one text. What was not found once is not looked for again, so that
/// a page of a million open comments is read once and not a million times.
class ForwardSearch {
 public:
  template <typename Find>
  std::size_t operator()(std::string_view what, Find find) {
    if (std::find(absent_.begin(), absent_.end(), what) != absent_.end())
      return std::string_view::npos;
    const std::size_t found = find();
    if (found == std::string_view::npos) absent_.emplace_back(what);
    return found;
  }

 private:
  std::vector<std::string> absent_;
};

}  // namespace

std::string clean_markup(std::string_view html) {
  ForwardSearch search;
  std::string out;
  out.reserve(html.size());
  int depth = 0, tags = 0;
  for (std::size_t at = 0; at < html.size();) {
    const auto open = std::min(html.find('<', at), html.size());
    out += html.substr(at, open - at);
    at = open;
    if (at + 1 >= html.size()) {
      if (at < html.size()) out += "&lt;";
      break;
    }
    const char next = html[at + 1];
    if (next == '!' || next == '?') {
      const bool comment = html.substr(at, 4) == "<!--";
      const std::string_view close = comment ? "-->" : ">";
      const auto end = search(close, [&] { return html.find(close, at + (comment ? 4 : 2)); });
      // A comment that nobody closes is text that somebody forgot: only its mark goes.
      at = end == std::string_view::npos ? at + (comment ? 4 : 2) : end + close.size();
      continue;
    }
    const bool end_tag = next == '/' && at + 2 < html.size() && is_letter(html[at + 2]);
    if (!is_letter(next) && !end_tag) {
      out += "&lt;";
      ++at;
      continue;
    }
    const Tag tag = read_tag(html, at);
    at = tag.after;
    if (any_of(kDropped, tag.name)) {
      if (!tag.end) {
        const auto end = search(tag.name, [&] { return find_end_tag(html, at, tag.name); });
        if (end != std::string_view::npos) {
          at = read_tag(html, end).after;
        } else if (tag.name == "script" || tag.name == "style") {
          at = html.size();  // the rest of the page is script, as browsers have it
        }
      }
      out += ' ';
      continue;
    }
    if (any_of(kTransparent, tag.name)) continue;
    const bool counts = !any_of(kVoid, tag.name) && !any_of(kEndsItself, tag.name);
    if (tag.end) {
      const bool kept = !counts || depth <= kMaxDepth;
      if (counts && depth > 0) --depth;
      if (kept && tags < kMaxTags) out += "</" + tag.name + ">";
      continue;
    }
    if (counts) ++depth;
    if (depth > kMaxDepth || ++tags > kMaxTags) {
      out += ' ';
      continue;
    }
    out += '<';
    out += tag.name;
    out += tag.attributes;
    out += '>';
  }
  return out;
}

std::string declared_encoding(std::string_view html) {
  constexpr std::size_t kLookAt = 4096;
  std::string head(html.substr(0, kLookAt));
  std::transform(head.begin(), head.end(), head.begin(), lower);
  for (const std::string_view key : {"charset", "encoding"}) {
    for (std::size_t at = head.find(key); at != std::string::npos; at = head.find(key, at + 1)) {
      std::size_t begin = at + key.size();
      while (begin < head.size() && is_space(head[begin])) ++begin;
      if (begin >= head.size() || head[begin] != '=') continue;
      ++begin;
      while (begin < head.size() &&
             (is_space(head[begin]) || head[begin] == '"' || head[begin] == '\''))
        ++begin;
      std::size_t end = begin;
      while (end < head.size() && (std::isalnum(static_cast<unsigned char>(head[end])) != 0 ||
                                   head[end] == '-' || head[end] == '_' || head[end] == ':'))
        ++end;
      if (end > begin) return head.substr(begin, end - begin);
    }
  }
  return "";
}

}  // namespace tigerbot::data
