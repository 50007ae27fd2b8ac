#include "data/readers/html_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "base/utf8.h"
#include "data/readers/flow_text.h"
#include "data/readers/html_markup.h"

namespace tigerbot::data {
namespace {

bool is_heading(GumboTag tag) { return tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6; }

/// Elements that begin a new line.
bool is_block(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_HTML:
    case GUMBO_TAG_BODY:
    case GUMBO_TAG_ARTICLE:
    case GUMBO_TAG_SECTION:
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_ASIDE:
    case GUMBO_TAG_HGROUP:
    case GUMBO_TAG_HEADER:
    case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_ADDRESS:
    case GUMBO_TAG_P:
    case GUMBO_TAG_HR:
    case GUMBO_TAG_FIGURE:
    case GUMBO_TAG_FIGCAPTION:
    case GUMBO_TAG_MAIN:
    case GUMBO_TAG_DIV:
    case GUMBO_TAG_CENTER:
    case GUMBO_TAG_FORM:
    case GUMBO_TAG_FIELDSET:
    case GUMBO_TAG_LEGEND:
    case GUMBO_TAG_DETAILS:
    case GUMBO_TAG_SUMMARY:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_DT:
    case GUMBO_TAG_DD:
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_TBODY:
    case GUMBO_TAG_THEAD:
    case GUMBO_TAG_TFOOT:
    case GUMBO_TAG_TR:
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TH:
    case GUMBO_TAG_CAPTION:
    case GUMBO_TAG_OPTION:
    case GUMBO_TAG_DIR:
      return true;
    default:
      return false;
  }
}

bool is_list(GumboTag tag) { return tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL; }

/// Writes blocks one after another; what opens inside a list item or a quote is indented.
class Writer {
 public:
  Writer(const HtmlTree& tree, const HtmlContent& content) : tree_(tree), content_(content) {}

  std::string write() {
    visit(static_cast<std::size_t>(content_.root));
    finish_block();
    drop_last_headings();
    return std::move(out_);
  }

 private:
  const HtmlNode& node(std::size_t at) const { return tree_[at]; }
  bool removed(std::size_t at) const { return content_.removed[at]; }

  template <typename Visit>
  void for_children(std::size_t at, Visit visit_child) {
    for (const auto child : node(at).children) {
      const auto index = static_cast<std::size_t>(child);
      if (!removed(index)) visit_child(index);
    }
  }

  void visit(std::size_t at) {
    const HtmlNode& here = node(at);
    if (here.is_text) {
      inline_ += here.text;
      return;
    }
    if (here.tag == GUMBO_TAG_BR) {
      inline_ += kLineBreak;
    } else if (is_heading(here.tag)) {
      heading(at);
    } else if (here.tag == GUMBO_TAG_PRE || here.tag == GUMBO_TAG_LISTING) {
      preformatted(at);
    } else if (is_list(here.tag)) {
      list(at);
    } else if (here.tag == GUMBO_TAG_LI) {
      item(at, "- ");
    } else if (here.tag == GUMBO_TAG_BLOCKQUOTE) {
      indented(at, "> ");
    } else if (here.tag == GUMBO_TAG_DD) {
      indented(at, "  ");
    } else if (here.tag == GUMBO_TAG_TABLE) {
      table(at);
    } else if (is_block(here.tag)) {
      finish_block();
      for_children(at, [&](std::size_t child) { visit(child); });
      finish_block();
    } else {
      for_children(at, [&](std::size_t child) { visit(child); });
    }
  }

  void heading(std::size_t at) {
    finish_block();
    for_children(at, [&](std::size_t child) { visit(child); });
    std::string text = flow_text(inline_);
    inline_.clear();
    std::replace(text.begin(), text.end(), '\n', ' ');
    // Signs that lead to the heading itself.
    for (const std::string_view sign : {"¶", "#", "§", ""})
      if (text.ends_with(sign)) text.resize(text.size() - sign.size());
    text = std::string(trim(text));
    if (text.empty()) return;
    const auto level = static_cast<std::size_t>(node(at).tag - GUMBO_TAG_H1) + 1;
    const bool follows_heading = heading_end_ == out_.size();
    const std::size_t begin = out_.size();
    begin_block(false);
    put(std::string(level, '#') + " " + text);
    if (!follows_heading) heading_begin_ = begin;
    heading_end_ = out_.size();
  }

  /// Headings that nothing follows lead nowhere, unless they are all there is.
  void drop_last_headings() {
    if (heading_end_ == out_.size() && heading_begin_ > 0) out_.resize(heading_begin_);
  }

  void preformatted(std::size_t at) {
    finish_block();
    std::string code;
    collect(at, code);
    while (code.ends_with('\n') || code.ends_with(' ')) code.pop_back();
    if (const auto first = code.find_first_not_of(" \t\r\n"); first == std::string::npos) return;
    while (code.starts_with('\n')) code.erase(0, 1);
    begin_block(false);
    put("```\n" + code + "\n```");
  }

  /// All text under a node, as it is.
  void collect(std::size_t at, std::string& out) {
    if (node(at).is_text) out += node(at).text;
    if (node(at).tag == GUMBO_TAG_BR) out += '\n';
    for_children(at, [&](std::size_t child) { collect(child, out); });
  }

  void list(std::size_t at) {
    finish_block();
    const bool ordered = node(at).tag == GUMBO_TAG_OL;
    int number = node(at).start;
    tight_ = !marks_.empty();  // a list inside an item belongs to it
    for_children(at, [&](std::size_t child) {
      if (node(child).tag == GUMBO_TAG_LI)
        item(child, ordered ? fmt::format("{}. ", number++) : "- ");
      else
        visit(child);
    });
    finish_block();
    tight_ = false;
  }

  void item(std::size_t at, const std::string& mark) {
    finish_block();
    if (!has_text(at)) return;
    marks_.push_back({mark, std::string(mark.size(), ' ')});
    for_children(at, [&](std::size_t child) { visit(child); });
    finish_block();
    marks_.pop_back();
    tight_ = true;
  }

  void indented(std::size_t at, const std::string& mark) {
    finish_block();
    if (!has_text(at)) return;
    marks_.push_back({mark, mark});
    for_children(at, [&](std::size_t child) { visit(child); });
    finish_block();
    marks_.pop_back();
    tight_ = false;
  }

  bool has_text(std::size_t at) const {
    if (removed(at)) return false;
    const HtmlNode& here = node(at);
    if (here.is_text) return here.text.find_first_not_of(" \t\r\n\f") != std::string::npos;
    return std::any_of(here.children.begin(), here.children.end(), [&](std::int32_t child) {
      return has_text(static_cast<std::size_t>(child));
    });
  }

  /// Tables of data become rows of cells; those that only lay out the page are read cell by cell.
  void table(std::size_t at) {
    std::vector<std::vector<std::size_t>> rows;
    if (!is_data_table(at, rows)) {
      finish_block();
      for_children(at, [&](std::size_t child) { visit(child); });
      finish_block();
      return;
    }
    finish_block();
    for_children(at, [&](std::size_t child) {
      if (node(child).tag == GUMBO_TAG_CAPTION) visit(child);
    });
    finish_block();
    std::string text;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      std::string line = "|";
      for (const auto cell : rows[row]) {
        visit_cell(cell);
        std::string inner = flow_text(inline_);
        inline_.clear();
        std::replace(inner.begin(), inner.end(), '\n', ' ');
        line += " " + inner + " |";
      }
      text += line + "\n";
      if (row == 0) {
        text += "|";
        for (std::size_t cell = 0; cell < rows[0].size(); ++cell) text += " --- |";
        text += "\n";
      }
    }
    text.pop_back();
    begin_block(false);
    put(text);
  }

  void visit_cell(std::size_t at) {
    if (node(at).is_text) {
      inline_ += node(at).text;
      return;
    }
    inline_ += is_block(node(at).tag) || node(at).tag == GUMBO_TAG_BR ? " " : "";
    for_children(at, [&](std::size_t child) { visit_cell(child); });
  }

  /// Two or more columns, no blocks that a cell of data would not have.
  bool is_data_table(std::size_t at, std::vector<std::vector<std::size_t>>& rows) {
    constexpr std::size_t kLongCell = 400;
    std::size_t columns = 0;
    bool plain = true;
    const auto row = [&](std::size_t child) {
      std::vector<std::size_t> cells;
      for_children(child, [&](std::size_t cell) {
        if (node(cell).tag != GUMBO_TAG_TD && node(cell).tag != GUMBO_TAG_TH) return;
        cells.push_back(cell);
        std::string text;
        plain = plain && is_plain_cell(cell);
        collect(cell, text);
        plain = plain && text.size() <= kLongCell;
      });
      columns = std::max(columns, cells.size());
      if (std::any_of(cells.begin(), cells.end(), [&](auto cell) { return has_text(cell); }))
        rows.push_back(std::move(cells));
    };
    for_children(at, [&](std::size_t child) {
      if (node(child).tag == GUMBO_TAG_TR) row(child);
      for_children(child, [&](std::size_t inner) {
        if (node(inner).tag == GUMBO_TAG_TR) row(inner);
      });
    });
    return plain && columns >= 2 && rows.size() >= 2;
  }

  bool is_plain_cell(std::size_t at) {
    bool plain = true;
    for_children(at, [&](std::size_t child) {
      const GumboTag tag = node(child).tag;
      plain = plain && tag != GUMBO_TAG_TABLE && tag != GUMBO_TAG_PRE && !is_heading(tag) &&
              !is_list(tag) && is_plain_cell(child);
    });
    return plain;
  }

  /// Running text that has come together becomes a paragraph.
  void finish_block() {
    std::string text = flow_text(inline_);
    inline_.clear();
    if (text.empty()) return;
    begin_block(tight_);
    put(text);
  }

  void begin_block(bool tight) {
    if (!out_.empty()) out_ += tight ? "\n" : "\n\n";
    tight_ = false;
  }

  /// A block, each line behind the marks of the items and quotes that it stands in.
  void put(std::string_view text) {
    for (std::size_t at = 0; at <= text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      if (at > 0) out_ += '\n';
      for (auto& mark : marks_) {
        out_ += mark.first;
        mark.first = mark.rest;
      }
      out_ += text.substr(at, end - at);
      while (out_.ends_with(' ')) out_.pop_back();
      at = end + 1;
    }
  }

  struct Mark {
    std::string first, rest;  ///< before the first line, and before the others
  };

  const HtmlTree& tree_;
  const HtmlContent& content_;
  std::string out_, inline_;
  std::vector<Mark> marks_;
  bool tight_ = false;  // the next block follows without a blank line
  // Of the last heading, or of the first of several that follow one another.
  std::size_t heading_begin_ = 0, heading_end_ = std::string::npos;
};

void collect_text(const HtmlTree& tree, std::size_t at, std::string& out) {
  if (tree[at].is_text) out += tree[at].text;
  for (const auto child : tree[at].children)
    collect_text(tree, static_cast<std::size_t>(child), out);
}

void read_head(const HtmlTree& tree, HtmlPage& page) {
  page.language = tree.empty() ? "" : tree[0].language;
  for (std::size_t at = 0; at < tree.size(); ++at) {
    const HtmlNode& node = tree[at];
    if (node.tag == GUMBO_TAG_TITLE && page.title.empty()) {
      collect_text(tree, at, page.title);
      page.title = flow_text(page.title);
    }
    if (node.tag != GUMBO_TAG_META) continue;
    if (node.property == "og:url" && page.url.empty()) page.url = node.content;
    for (const std::string_view name :
         {"article:published_time", "date", "DC.date", "dcterms.created", "pubdate"})
      if (node.property == name && page.date.empty()) page.date = node.content;
  }
}

}  // namespace

std::string content_to_text(const HtmlTree& tree, const HtmlContent& content) {
  return Writer(tree, content).write();
}

HtmlPage extract_page(std::string_view html) {
  HtmlPage page;
  const HtmlTree tree = parse_html(clean_markup(html));
  read_head(tree, page);
  page.text = content_to_text(tree, find_content(tree));
  return page;
}

}  // namespace tigerbot::data
