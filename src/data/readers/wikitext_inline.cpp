#include "data/readers/wikitext_inline.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/text.h"

namespace tigerbot::data {
namespace {

constexpr std::size_t kMaxNesting = 40;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

template <std::size_t N>
bool any_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// --- elements -----------------------------------------------------------------------------------

constexpr std::array<std::string_view, 18> kDroppedElements{
    "ref",     "references",   "gallery",  "timeline", "score",          "imagemap",
    "graph",   "inputbox",     "mapframe", "maplink",  "templatestyles", "indicator",
    "section", "categorytree", "style",    "script",   "hiero",          "rt"};
constexpr std::array<std::string_view, 4> kCodeElements{"pre", "source", "syntaxhighlight",
                                                        "poem-code"};

struct Element {
  std::string name;
  bool end = false, closed = false;  ///< </name>, <name/>
  std::size_t after = 0;
};

/// The tag at `at`, or a name of "" if there is none.
Element read_element(std::string_view text, std::size_t at) {
  constexpr std::size_t kLongestTag = 2000;
  Element element;
  std::size_t here = at + 1;
  if (here < text.size() && text[here] == '/') {
    element.end = true;
    ++here;
  }
  std::size_t end = here;
  while (end < text.size() && end - here < 20 &&
         std::isalnum(static_cast<unsigned char>(text[end])) != 0)
    ++end;
  if (end == here || std::isalpha(static_cast<unsigned char>(text[here])) == 0) return element;
  const auto close = text.substr(end, kLongestTag).find('>');
  if (close == std::string_view::npos) return element;
  element.name = lower(text.substr(here, end - here));
  element.closed = close > 0 && text[end + close - 1] == '/';
  element.after = end + close + 1;
  return element;
}

/// Searches forward over one text; what is not there is looked for once.
class EndTags {
 public:
  explicit EndTags(std::string_view text) : text_(text) {}

  std::size_t find(const std::string& name, std::size_t from) {
    const std::string end = "</" + name;
    if (std::find(absent_.begin(), absent_.end(), end) != absent_.end()) return kNone;
    for (std::size_t at = text_.find("</", from); at != kNone; at = text_.find("</", at + 2))
      if (lower(text_.substr(at, end.size())) == end) return at;
    absent_.push_back(end);
    return kNone;
  }

  std::size_t find_comment_end(std::size_t from) {
    if (no_comment_end_) return kNone;
    const auto at = text_.find("-->", from);
    no_comment_end_ = at == kNone;
    return at;
  }

 private:
  static constexpr auto kNone = std::string_view::npos;
  std::string_view text_;
  std::vector<std::string> absent_;
  bool no_comment_end_ = false;
};

// --- templates ----------------------------------------------------------------------------------

/// Parameters between the bars; links inside were resolved before.
std::vector<std::string_view> parameters(std::string_view body) { return split(body, '|'); }

/// The positional parameter `index` (the name is 0), or "".
std::string_view positional(const std::vector<std::string_view>& parts, std::size_t index) {
  std::size_t at = 0;
  for (std::size_t k = 1; k < parts.size(); ++k) {
    const auto equals = parts[k].find('=');
    if (equals != std::string_view::npos) {
      const auto name = trim(parts[k].substr(0, equals));
      std::size_t number = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (error == std::errc() && end == name.data() + name.size() && number == index)
        return trim(parts[k].substr(equals + 1));
      const bool is_name =
          !name.empty() && name.size() < 30 && std::all_of(name.begin(), name.end(), [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' ||
                   c == ' ';
          });
      if (is_name) continue;
    }
    if (++at == index) return trim(parts[k]);
  }
  return {};
}

/// Templates whose text belongs to the sentence that they stand in, and the parameter that has it.
struct TextTemplate {
  std::string_view name;
  std::size_t parameter;
};
constexpr std::array kTextTemplates{TextTemplate{"lang", 2},
                                    TextTemplate{"transl", 2},
                                    TextTemplate{"transliteration", 2},
                                    TextTemplate{"nowrap", 1},
                                    TextTemplate{"nobr", 1},
                                    TextTemplate{"small", 1},
                                    TextTemplate{"big", 1},
                                    TextTemplate{"smaller", 1},
                                    TextTemplate{"nihongo", 1},
                                    TextTemplate{"ruby", 1},
                                    TextTemplate{"r", 99},
                                    TextTemplate{"abbr", 1},
                                    TextTemplate{"tooltip", 1},
                                    TextTemplate{"le", 1},
                                    TextTemplate{"link-en", 1},
                                    TextTemplate{"link-ja", 1},
                                    TextTemplate{"tsl", 3},
                                    TextTemplate{"internal link helper/en", 1},
                                    TextTemplate{"仮リンク", 1},
                                    TextTemplate{"读音", 1},
                                    TextTemplate{"読み仮名", 1},
                                    TextTemplate{"ruby-ja", 1},
                                    TextTemplate{"bd", 99},
                                    TextTemplate{"quote", 1},
                                    TextTemplate{"cquote", 1},
                                    TextTemplate{"blockquote", 1},
                                    TextTemplate{"quotation", 1},
                                    TextTemplate{"visible anchor", 1},
                                    TextTemplate{"vanchor", 1},
                                    TextTemplate{"no italic", 1},
                                    TextTemplate{"math", 1},
                                    TextTemplate{"mvar", 1},
                                    TextTemplate{"val", 1},
                                    TextTemplate{"ill", 1},
                                    TextTemplate{"interlanguage link", 1},
                                    TextTemplate{"llang", 2},
                                    TextTemplate{"lang-", 1},
                                    TextTemplate{"zh", 99},
                                    TextTemplate{"color", 2},
                                    TextTemplate{"sup", 1},
                                    TextTemplate{"sub", 1},
                                    TextTemplate{"as of", 1},
                                    TextTemplate{"asof", 1},
                                    TextTemplate{"ko-hanja", 1},
                                    TextTemplate{"한자", 1},
                                    TextTemplate{"llink", 1}};

/// What a template leaves in the text, given its inside.
std::string expand_template(std::string_view body) {
  const auto parts = parameters(body);
  std::string name = lower(trim(parts[0]));
  std::replace(name.begin(), name.end(), '_', ' ');
  if (name.starts_with("lang-")) name = "lang-";
  if (name == "!") return "|";
  if (name == "=") return "=";
  if (name == "snd" || name == "spnd" || name == "ndash" || name == "–") return " – ";
  if (name == "convert" || name == "cvt")
    return std::string(positional(parts, 1)) + " " + std::string(positional(parts, 2));
  for (const auto& known : kTextTemplates)
    if (known.name == name) return std::string(positional(parts, known.parameter));
  return "";
}

// --- links --------------------------------------------------------------------------------------

constexpr std::array<std::string_view, 28> kDroppedNamespaces{
    "file",   "image",   "media",    "category", "wikipedia", "template", "help",
    "portal", "special", "文件",     "檔案",     "图像",      "圖像",     "图片",
    "分类",   "分類",    "ファイル", "画像",     "カテゴリ",  "파일",     "그림",
    "분류",   "datei",   "bild",     "fichier",  "archivo",   "wikt",     "commons"};

/// What a link [[inside]] leaves in the text.
std::string expand_link(std::string_view inside) {
  bool shown = false;
  if (inside.starts_with(':')) {  // [[:Category:...]] is a link that is shown
    inside.remove_prefix(1);
    shown = true;
  }
  const auto bar = inside.find('|');
  const auto target = trim(inside.substr(0, bar));
  if (const auto colon = target.find(':'); colon != std::string_view::npos && !shown) {
    const std::string space = lower(trim(target.substr(0, colon)));
    if (any_of(kDroppedNamespaces, space)) return "";
    // Links to the same article in other languages: [[fr:...]], [[zh-min-nan:...]].
    const bool code = space.size() >= 2 && space.size() <= 12 && bar == std::string_view::npos &&
                      std::all_of(space.begin(), space.end(),
                                  [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
    if (code && (space.size() <= 3 || space.find('-') != std::string::npos)) return "";
  }
  if (bar == std::string_view::npos) return std::string(target);
  const auto label = inside.substr(inside.rfind('|') + 1);
  return std::string(trim(label).empty() ? target : label);
}

/// -{zh-hans:甲; zh-hant:乙}-: the variant of the mainland, or the first.
std::string expand_variants(std::string_view inside) {
  if (const auto bar = inside.find('|'); bar != std::string_view::npos) {
    const auto flags = trim(inside.substr(0, bar));
    if (flags.find_first_of("HTD-") != std::string_view::npos) return "";
    inside = inside.substr(bar + 1);
  }
  std::string_view first;
  for (const auto part : split(inside, ';')) {
    const auto colon = part.find(':');
    if (colon == std::string_view::npos) continue;
    const auto code = trim(part.substr(0, colon));
    if (!code.starts_with("zh")) continue;
    const auto text = trim(part.substr(colon + 1));
    if (code == "zh-hans" || code == "zh-cn") return std::string(text);
    if (first.empty()) first = text;
  }
  return std::string(first.empty() ? inside : first);
}

/// [https://address text]: the text.
std::string expand_external(std::string_view inside) {
  const auto space = inside.find(' ');
  return space == std::string_view::npos ? "" : std::string(trim(inside.substr(space + 1)));
}

bool is_external(std::string_view text) {
  constexpr std::array<std::string_view, 5> kSchemes{"http://", "https://", "//", "ftp://",
                                                     "mailto:"};
  return std::any_of(kSchemes.begin(), kSchemes.end(),
                     [&](auto scheme) { return text.starts_with(scheme); });
}

struct Bracket {
  std::string_view open, close;
  std::string (*expand)(std::string_view);
};
std::string drop_parameter(std::string_view /*inside*/) { return ""; }

constexpr std::array kBrackets{
    Bracket{"{{{", "}}}", drop_parameter}, Bracket{"{{", "}}", expand_template},
    Bracket{"[[", "]]", expand_link}, Bracket{"-{", "}-", expand_variants}};

}  // namespace

std::string ProtectedText::protect(std::string text) {
  texts_.push_back(std::move(text));
  return "\x02" + std::to_string(texts_.size() - 1) + "\x03";
}

std::string ProtectedText::restore(std::string_view text) const {
  std::string out;
  while (true) {
    const auto at = text.find('\x02');
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
    const auto end = text.find('\x03');
    std::size_t index = texts_.size();
    if (end != std::string_view::npos) std::from_chars(text.data(), text.data() + end, index);
    if (index < texts_.size()) {
      out += texts_[index];
      text.remove_prefix(end + 1);
    }
  }
}

std::string remove_elements(std::string_view text, ProtectedText& kept) {
  EndTags ends(text);
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto open = std::min(text.find('<', at), text.size());
    out += text.substr(at, open - at);
    at = open;
    if (at == text.size()) break;
    if (text.substr(at, 4) == "<!--") {
      const auto end = ends.find_comment_end(at + 4);
      at = end == std::string_view::npos ? at + 4 : end + 3;
      continue;
    }
    const Element element = read_element(text, at);
    if (element.name.empty()) {
      out += '<';
      ++at;
      continue;
    }
    at = element.after;
    if (element.end) continue;
    const bool code = any_of(kCodeElements, element.name);
    const bool literal = code || element.name == "nowiki" || element.name == "math" ||
                         element.name == "chem" || element.name == "ce";
    const bool dropped = any_of(kDroppedElements, element.name);
    if (element.name == "br" || element.name == "hr") out += '\n';
    if (element.name == "p" || element.name == "div" || element.name == "blockquote") out += '\n';
    if ((!literal && !dropped) || element.closed) continue;
    const auto end = ends.find(element.name, at);
    if (end == std::string_view::npos) continue;
    const auto inside = text.substr(at, end - at);
    at = std::max(read_element(text, end).after, end + 2);
    if (dropped) continue;
    if (code)
      out += "\n" + kept.protect("```\n" + std::string(trim(inside)) + "\n```") + "\n";
    else if (element.name == "nowiki")
      out += kept.protect(std::string(inside));
    else
      out += kept.protect("$" + std::string(trim(inside)) + "$");
  }
  return out;
}

std::string resolve_brackets(std::string_view text) {
  struct Open {
    const Bracket* bracket;
    std::size_t begin;  // of the inside, in `out`
  };
  std::string out;
  out.reserve(text.size());
  std::vector<Open> open;
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = text.substr(at);
    if (!open.empty() && rest.starts_with(open.back().bracket->close)) {
      const Open last = open.back();
      open.pop_back();
      std::string inner = last.bracket->expand(std::string_view(out).substr(last.begin));
      out.resize(last.begin);
      out += inner;
      at += last.bracket->close.size();
      continue;
    }
    const auto* const bracket =
        std::find_if(kBrackets.begin(), kBrackets.end(),
                     [&](const auto& b) { return rest.starts_with(b.open); });
    if (bracket != kBrackets.end() && open.size() < kMaxNesting) {
      open.push_back({bracket, out.size()});
      at += bracket->open.size();
      continue;
    }
    if (text[at] == '[' && is_external(rest.substr(1, 8))) {
      const auto line = rest.substr(0, 2000);
      const auto end = line.find_first_of("]\n");
      if (end != std::string_view::npos && line[end] == ']') {
        out += expand_external(line.substr(1, end - 1));
        at += end + 1;
        continue;
      }
    }
    out += text[at];
    ++at;
  }
  return out;
}

}  // namespace tigerbot::data
