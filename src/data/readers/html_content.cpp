#include "data/readers/html_content.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "base/utf8.h"

namespace tigerbot::data {
namespace {

constexpr double kMostOfThePage = 0.6;
constexpr double kHoldsTheText = 0.8;
constexpr double kLinkShare = 0.6, kParagraphLinkShare = 0.8;
constexpr double kMenuEntry = 60;  // letters

/// How much a piece of text says: its letters, where a character of Chinese, Japanese or Korean
/// says as much as three letters.
double weigh(std::string_view text) {
  double weight = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    at += step.length;
    const char32_t c = step.code_point;
    if (c >= 0x2E80)
      weight += 3;
    else if (c > ' ' && c != 0xA0)
      weight += 1;
  }
  return weight;
}

bool is_one_of(GumboTag tag, std::initializer_list<GumboTag> tags) {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

/// Never text, wherever it stands.
bool is_machinery(const HtmlNode& node) {
  return is_one_of(node.tag,
                   {GUMBO_TAG_HEAD,    GUMBO_TAG_SCRIPT, GUMBO_TAG_STYLE,    GUMBO_TAG_NOSCRIPT,
                    GUMBO_TAG_IFRAME,  GUMBO_TAG_OBJECT, GUMBO_TAG_EMBED,    GUMBO_TAG_SELECT,
                    GUMBO_TAG_BUTTON,  GUMBO_TAG_INPUT,  GUMBO_TAG_TEXTAREA, GUMBO_TAG_SVG,
                    GUMBO_TAG_CANVAS,  GUMBO_TAG_VIDEO,  GUMBO_TAG_AUDIO,    GUMBO_TAG_MAP,
                    GUMBO_TAG_RT,      GUMBO_TAG_RP,     GUMBO_TAG_LABEL,    GUMBO_TAG_DATALIST,
                    GUMBO_TAG_TEMPLATE});
}

bool is_hidden(const HtmlNode& node) {
  if (node.hidden) return true;
  std::string style;
  for (const char c : node.style)
    if (c != ' ') style += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return style.find("display:none") != std::string::npos ||
         style.find("visibility:hidden") != std::string::npos;
}

/// Words that a class or id of boilerplate is made of.
constexpr std::array<std::string_view, 77> kBoilerplateWords{
    "ad",        "ads",        "advert",      "advertisement", "advertisements", "adsense",
    "banner",    "breadcrumb", "breadcrumbs", "captcha",       "comments",       "consent",
    "cookie",    "cookies",    "copyright",   "disqus",        "docnav",         "donate",
    "dropdown",  "footer",     "foot",        "gdpr",          "headerlink",     "icons",
    "jumpto",    "langs",      "languages",   "legalnotice",   "login",          "masthead",
    "menu",      "menus",      "modal",       "nav",           "navbar",         "navfooter",
    "navheader", "navigation", "navi",        "newsletter",    "noprint",        "outbrain",
    "overlay",   "pager",      "pagination",  "popup",         "prevnext",       "promo",
    "promoted",  "rating",     "recommend",   "recommended",   "related",        "rss",
    "searchbox", "search",     "share",       "sharing",       "shopping",       "sidebar",
    "signup",    "sitemap",    "skip",        "skiplink",      "social",         "sphinxsidebar",
    "sponsor",   "sponsored",  "subscribe",   "subscription",  "taboola",        "tags",
    "toc",       "toolbar",    "toplang",     "toplink",       "widget"};

/// Words of a class or id: "site-navBar" gives "site", "nav", "bar" and "navbar".
template <typename Visit>
void visit_words(std::string_view mark, Visit visit) {
  std::string word, joined;
  const auto finish = [&](bool end_of_name) {
    if (!word.empty()) visit(word);
    joined += word;
    word.clear();
    if (!end_of_name) return;
    if (!joined.empty()) visit(joined);
    joined.clear();
  };
  char before = ' ';
  for (const char c : mark) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalpha(byte) == 0) {
      finish(c == ' ');
    } else {
      const bool hump =
          std::isupper(byte) != 0 && std::islower(static_cast<unsigned char>(before)) != 0;
      if (hump) finish(false);
      word += static_cast<char>(std::tolower(byte));
    }
    before = c;
  }
  finish(true);
}

bool has_boilerplate_mark(const HtmlNode& node) {
  bool found = false;
  visit_words(node.mark, [&](const std::string& word) {
    found = found || std::find(kBoilerplateWords.begin(), kBoilerplateWords.end(), word) !=
                         kBoilerplateWords.end();
  });
  return found;
}

bool is_boilerplate_element(const HtmlNode& node) {
  if (is_one_of(node.tag, {GUMBO_TAG_NAV, GUMBO_TAG_FOOTER, GUMBO_TAG_ASIDE, GUMBO_TAG_MENU}))
    return true;
  constexpr std::array<std::string_view, 10> kRoles{
      "navigation", "banner",  "contentinfo", "search", "complementary",
      "menu",       "menubar", "dialog",      "alert",  "toolbar"};
  return std::find(kRoles.begin(), kRoles.end(), node.role) != kRoles.end();
}

class Finder {
 public:
  explicit Finder(const HtmlTree& tree)
      : tree_(tree), text_(tree.size()), links_(tree.size()), content_{0, {}} {
    content_.removed.assign(tree.size(), false);
  }

  HtmlContent find() {
    remove([&](std::size_t node) { return is_machinery(tree_[node]) || is_hidden(tree_[node]); },
           1);
    weigh_nodes();
    remove([&](std::size_t node) { return is_boilerplate_element(tree_[node]); }, kMostOfThePage);
    remove([&](std::size_t node) { return is_header(node); }, kMostOfThePage);
    remove([&](std::size_t node) { return marks_boilerplate(node); }, kMostOfThePage);
    weigh_nodes();
    content_.root = named_root();
    if (content_.root < 0) content_.root = innermost_root();
    remove([&](std::size_t node) { return is_link_list(node); }, 1);
    return std::move(content_);
  }

 private:
  double total() const { return text_.empty() ? 0 : text_[0]; }

  /// Takes out the nodes that a rule names, but for those that hold more than `share` of the text:
  /// <body class="has-sidebar"> is no side bar.
  template <typename Rule>
  void remove(Rule rule, double share) {
    for (std::size_t node = 1; node < tree_.size(); ++node) {
      if (tree_[node].is_text || content_.removed[node]) continue;
      if (share < 1 && text_[node] > share * total()) continue;
      if (rule(node)) content_.removed[node] = true;
    }
  }

  /// Text and text of links under each node, without what was removed.
  void weigh_nodes() {
    std::fill(text_.begin(), text_.end(), 0);
    std::fill(links_.begin(), links_.end(), 0);
    // Children come after their parents, so going backwards sums them up.
    for (std::size_t node = tree_.size(); node-- > 0;) {
      if (content_.removed[node]) {
        text_[node] = links_[node] = 0;
        continue;
      }
      if (tree_[node].is_text) text_[node] = weigh(tree_[node].text);
      if (tree_[node].tag == GUMBO_TAG_A) links_[node] = text_[node];
      if (tree_[node].parent < 0) continue;
      const auto parent = static_cast<std::size_t>(tree_[node].parent);
      text_[parent] += text_[node];
      links_[parent] += links_[node];
    }
  }

  bool inside(std::size_t node, std::initializer_list<GumboTag> tags) const {
    for (auto at = tree_[node].parent; at >= 0; at = tree_[static_cast<std::size_t>(at)].parent)
      if (is_one_of(tree_[static_cast<std::size_t>(at)].tag, tags)) return true;
    return false;
  }

  /// The header of the page, not that of an article, which has its title.
  bool is_header(std::size_t node) const {
    return tree_[node].tag == GUMBO_TAG_HEADER &&
           !inside(node, {GUMBO_TAG_ARTICLE, GUMBO_TAG_MAIN, GUMBO_TAG_SECTION});
  }

  bool marks_boilerplate(std::size_t node) const {
    // Headings and running text are named after what they speak of: <h2 id="cookies">.
    if (is_one_of(tree_[node].tag,
                  {GUMBO_TAG_HTML, GUMBO_TAG_BODY, GUMBO_TAG_MAIN, GUMBO_TAG_ARTICLE, GUMBO_TAG_H1,
                   GUMBO_TAG_H2, GUMBO_TAG_H3, GUMBO_TAG_H4, GUMBO_TAG_H5, GUMBO_TAG_H6,
                   GUMBO_TAG_P, GUMBO_TAG_PRE, GUMBO_TAG_DT, GUMBO_TAG_DD, GUMBO_TAG_TD}))
      return false;
    if (tree_[node].tag == GUMBO_TAG_SECTION && has_heading_and_text(node)) return false;
    if (tree_[node].tag == GUMBO_TAG_A)
      return tree_[node].mark.find("headerlink") != std::string::npos;
    return has_boilerplate_mark(tree_[node]);
  }

  bool has_heading_and_text(std::size_t node) const {
    bool heading = false, paragraph = false;
    for (const auto child : tree_[node].children) {
      const GumboTag tag = tree_[static_cast<std::size_t>(child)].tag;
      heading = heading || (tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6);
      paragraph = paragraph || tag == GUMBO_TAG_P;
    }
    return heading && paragraph;
  }

  /// <main>, or the only <article> with a good part of the text; -1 if there is none.
  std::int32_t named_root() const {
    std::int32_t best = -1;
    int articles = 0;
    for (std::size_t node = 0; node < tree_.size(); ++node) {
      if (content_.removed[node] || text_[node] < 0.3 * total() || text_[node] < 100) continue;
      if (tree_[node].tag == GUMBO_TAG_MAIN || tree_[node].role == "main")
        return static_cast<std::int32_t>(node);
      if (tree_[node].tag == GUMBO_TAG_ARTICLE && !inside(node, {GUMBO_TAG_ARTICLE})) {
        ++articles;
        best = static_cast<std::int32_t>(node);
      }
    }
    return articles == 1 ? best : -1;
  }

  /// Down from the top while one child holds nearly all of the text that is no link.
  std::int32_t innermost_root() const {
    std::size_t node = 0;
    while (true) {
      const double whole = text_[node] - links_[node];
      std::size_t next = 0;
      for (const auto child : tree_[node].children) {
        const auto at = static_cast<std::size_t>(child);
        if (!tree_[at].is_text && text_[at] - links_[at] > kHoldsTheText * whole) next = at;
      }
      if (next == 0 || !is_container(tree_[next].tag)) return static_cast<std::int32_t>(node);
      node = next;
    }
  }

  static bool is_container(GumboTag tag) {
    return is_one_of(
        tag, {GUMBO_TAG_BODY, GUMBO_TAG_DIV, GUMBO_TAG_SECTION, GUMBO_TAG_ARTICLE, GUMBO_TAG_MAIN,
              GUMBO_TAG_TABLE, GUMBO_TAG_TBODY, GUMBO_TAG_TR, GUMBO_TAG_TD, GUMBO_TAG_CENTER,
              GUMBO_TAG_FORM, GUMBO_TAG_FIELDSET, GUMBO_TAG_SPAN, GUMBO_TAG_UNKNOWN});
  }

  /// A block that is little more than links: menus that nothing names.
  bool is_link_list(std::size_t node) const {
    const bool list = is_one_of(tree_[node].tag, {GUMBO_TAG_UL, GUMBO_TAG_OL, GUMBO_TAG_DIV,
                                                  GUMBO_TAG_TABLE, GUMBO_TAG_DL, GUMBO_TAG_CENTER});
    const bool paragraph =
        tree_[node].tag == GUMBO_TAG_P && !inside(node, {GUMBO_TAG_UL, GUMBO_TAG_OL, GUMBO_TAG_DL});
    if (!list && !paragraph) return false;
    if (static_cast<std::int32_t>(node) == content_.root || text_[node] <= 0) return false;
    if (links_[node] < (list ? kLinkShare : kParagraphLinkShare) * text_[node]) return false;
    // A sentence may well be a link, and so may the title of a work.
    int count = 0;
    count_links(node, count);
    return count >= 2 && links_[node] / count < kMenuEntry;
  }

  void count_links(std::size_t node, int& count) const {
    for (const auto child : tree_[node].children) {
      const auto at = static_cast<std::size_t>(child);
      if (content_.removed[at] || text_[at] <= 0) continue;
      if (tree_[at].tag == GUMBO_TAG_A)
        ++count;
      else
        count_links(at, count);
    }
  }

  const HtmlTree& tree_;
  std::vector<double> text_, links_;
  HtmlContent content_;
};

}  // namespace

HtmlContent find_content(const HtmlTree& tree) { return Finder(tree).find(); }

}  // namespace tigerbot::data
