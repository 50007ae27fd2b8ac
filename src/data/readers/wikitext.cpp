#include "data/readers/wikitext.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"
#include "data/readers/entities.h"
#include "data/readers/flow_text.h"
#include "data/readers/wikitext_inline.h"

namespace tigerbot::data {
namespace {

// Sections that list sources and links, in the languages of the corpus.
constexpr std::array<std::string_view, 40> kDroppedSections{"references",
                                                            "external links",
                                                            "notes",
                                                            "further reading",
                                                            "bibliography",
                                                            "see also",
                                                            "sources",
                                                            "footnotes",
                                                            "notes and references",
                                                            "citations",
                                                            "gallery",
                                                            "参考文献",
                                                            "外部链接",
                                                            "外部連結",
                                                            "参考资料",
                                                            "參考資料",
                                                            "參考文獻",
                                                            "参见",
                                                            "參見",
                                                            "注释",
                                                            "註釋",
                                                            "注釋",
                                                            "脚注",
                                                            "腳註",
                                                            "相关条目",
                                                            "相關條目",
                                                            "延伸阅读",
                                                            "延伸閱讀",
                                                            "関連項目",
                                                            "外部リンク",
                                                            "出典",
                                                            "注釈",
                                                            "関連書籍",
                                                            "関連文献",
                                                            "각주",
                                                            "같이 보기",
                                                            "외부 링크",
                                                            "참고 문헌",
                                                            "함께 보기",
                                                            "外部鏈接"};

/// '''bold''' and ''italic'' marks, and __NOTOC__ and the like.
std::string without_marks(std::string_view line) {
  std::string out;
  for (std::size_t at = 0; at < line.size();) {
    if (line.substr(at, 2) == "''") {
      while (at < line.size() && line[at] == '\'') ++at;
      continue;
    }
    if (line.substr(at, 2) == "__") {
      std::size_t end = at + 2;
      while (end < line.size() && line[end] >= 'A' && line[end] <= 'Z') ++end;
      if (end > at + 4 && line.substr(end, 2) == "__") {
        at = end + 2;
        continue;
      }
    }
    out += line[at++];
  }
  return out;
}

std::string clean_line(std::string_view line) { return flow_text(without_marks(line)); }

/// "style=... | text" without the attributes before the bar.
std::string_view cell_text(std::string_view cell) {
  const auto bar = cell.find('|');
  const bool attributes =
      bar != std::string_view::npos && cell.substr(0, bar).find('=') != std::string_view::npos;
  return trim(attributes ? cell.substr(bar + 1) : cell);
}

struct Heading {
  std::size_t level = 0;  ///< 0: none
  std::string title;
};

Heading parse_heading(std::string_view line) {
  line = trim(line);
  if (line.size() < 3 || line.front() != '=' || line.back() != '=') return {};
  std::size_t level = 0;
  while (level < 6 && line.size() > 2 * level + 2 && line[level] == '=' &&
         line[line.size() - 1 - level] == '=')
    ++level;
  return {level, clean_line(line.substr(level, line.size() - 2 * level))};
}

/// Turns lines into blocks of text.
class Blocks {
 public:
  std::string make(std::string_view wikitext) {
    for (const auto line : split(wikitext, '\n')) add(line);
    finish_table();
    finish_paragraph();
    drop_empty_headings(0);
    return std::move(out_);
  }

 private:
  void add(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto start = trim(line);
    if (start.starts_with("{|")) {
      ++tables_;
      if (tables_ == 1) finish_paragraph();
      return;
    }
    if (tables_ > 0) return table_line(start);
    if (const Heading heading = parse_heading(line); heading.level > 0)
      return begin_section(heading);
    if (dropped_level_ > 0) return;
    if (start.empty()) return finish_paragraph();
    if (const auto marks = line.find_first_not_of("*#:;"); marks > 0)
      return list_line(line.substr(0, std::min(marks, line.size())),
                       line.substr(std::min(marks, line.size())));
    counters_.clear();
    last_was_item_ = false;
    if (line.starts_with("----"))
      line = line.substr(std::min(line.find_first_not_of('-'), line.size()));
    paragraph_ += line;
    // Each line of wikitext is a paragraph's, unless a blank line comes between; between Chinese
    // or Japanese ones no space is wanted.
    paragraph_ += '\n';
  }

  void begin_section(const Heading& heading) {
    finish_paragraph();
    counters_.clear();
    if (dropped_level_ > 0 && heading.level > dropped_level_) return;
    dropped_level_ = 0;
    std::string name = heading.title;
    for (char& c : name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    drop_empty_headings(heading.level);
    if (std::find(kDroppedSections.begin(), kDroppedSections.end(), name) !=
        kDroppedSections.end()) {
      dropped_level_ = heading.level;
      return;
    }
    if (heading.title.empty()) return;
    const std::size_t begin = out_.size();
    put(std::string(heading.level, '#') + " " + heading.title, false);
    headings_.push_back({begin, out_.size(), heading.level});
  }

  /// Takes out headings of this level or a deeper one that nothing follows: their sections held
  /// only templates and the like. Level 0 means all.
  void drop_empty_headings(std::size_t level) {
    while (!headings_.empty() && headings_.back().end == out_.size() &&
           headings_.back().level >= level) {
      out_.resize(headings_.back().begin);
      headings_.pop_back();
    }
  }

  void list_line(std::string_view marks, std::string_view text) {
    finish_paragraph();
    const std::string clean = clean_line(text);
    if (clean.empty()) return;
    counters_.resize(marks.size());
    std::string line;
    for (std::size_t level = 0; level + 1 < marks.size(); ++level)
      if (marks[level] == '*' || marks[level] == '#') line += "  ";
    if (marks.back() == '*') line += "- ";
    if (marks.back() == '#') line += std::to_string(++counters_.back()) + ". ";
    put(line + clean, last_was_item_);
    last_was_item_ = true;
  }

  void table_line(std::string_view line) {
    if (line.starts_with("|}")) {
      if (--tables_ == 0) finish_table();
      return;
    }
    // Tables inside tables are mostly layout.
    if (tables_ > 1) return;
    if (line.starts_with("|-")) {
      rows_.emplace_back();
    } else if (line.starts_with("|+")) {
      caption_ = clean_line(cell_text(line.substr(2)));
    } else if (line.starts_with('|') || line.starts_with('!')) {
      if (rows_.empty()) rows_.emplace_back();
      const std::string_view between = line.front() == '!' ? "!!" : "||";
      line.remove_prefix(1);
      while (true) {
        const auto end = line.find(between);
        rows_.back().push_back(clean_line(cell_text(line.substr(0, end))));
        if (end == std::string_view::npos) break;
        line.remove_prefix(end + 2);
      }
    } else if (!rows_.empty() && !rows_.back().empty()) {
      auto& cell = rows_.back().back();
      const std::string more = clean_line(line);
      if (!more.empty()) cell += (cell.empty() ? "" : " ") + more;
    }
  }

  void finish_table() {
    auto rows = std::move(rows_);
    const std::string caption = std::move(caption_);
    rows_.clear();
    caption_.clear();
    tables_ = 0;
    if (dropped_level_ > 0) return;
    std::erase_if(rows, [](const auto& row) {
      return std::all_of(row.begin(), row.end(), [](const auto& cell) { return cell.empty(); });
    });
    std::size_t columns = 0;
    for (const auto& row : rows) columns = std::max(columns, row.size());
    if (columns < 2 || rows.size() < 2) {
      // No more than a frame around something.
      for (const auto& row : rows)
        for (const auto& cell : row)
          if (!cell.empty()) put(cell, false);
      return;
    }
    if (!caption.empty()) put(caption, false);
    std::string text;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      text += "|";
      for (const auto& cell : rows[row]) text += " " + cell + " |";
      text += '\n';
      if (row > 0) continue;
      text += "|";
      for (std::size_t k = 0; k < rows[0].size(); ++k) text += " --- |";
      text += '\n';
    }
    text.pop_back();
    put(text, false);
  }

  void finish_paragraph() {
    const std::string text = clean_line(paragraph_);
    paragraph_.clear();
    if (text.empty()) return;
    last_was_item_ = false;
    put(text, false);
  }

  void put(std::string_view block, bool tight) {
    if (!out_.empty()) out_ += tight ? "\n" : "\n\n";
    out_ += block;
  }

  struct Written {
    std::size_t begin, end, level;
  };

  std::string out_, paragraph_;
  std::vector<Written> headings_;
  std::vector<int> counters_;  // of numbered lists, by depth
  bool last_was_item_ = false;
  std::size_t dropped_level_ = 0;  // of the section that is passed over; 0: none
  int tables_ = 0;                 // that are open
  std::vector<std::vector<std::string>> rows_;
  std::string caption_;
};

/// Length of a pair of brackets at `at` with nothing but commas between, or 0.
std::size_t empty_brackets(std::string_view text, std::size_t at) {
  constexpr std::array<std::string_view, 8> kMarks{" ", ",", ";", "，", "、", "；", ":", "："};
  for (const auto& [open, close] :
       {std::pair<std::string_view, std::string_view>{"(", ")"}, {"（", "）"}}) {
    if (text.substr(at, open.size()) != open) continue;
    constexpr std::size_t kLongest = 40;
    for (std::size_t end = at + open.size(); end < std::min(text.size(), at + kLongest);) {
      const auto rest = text.substr(end);
      if (rest.starts_with(close)) return end + close.size() - at;
      const auto* const mark =
          std::find_if(kMarks.begin(), kMarks.end(), [&](auto m) { return rest.starts_with(m); });
      if (mark == kMarks.end()) break;
      end += mark->size();
    }
  }
  return 0;
}

/// Brackets that lost what stood in them: "Tokyo (, )" was "Tokyo ({{lang|ja|..}}, {{IPA|..}})".
std::string without_empty_brackets(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (const auto length = empty_brackets(text, at); length > 0) {
      if (out.ends_with(' ')) out.pop_back();
      at += length;
    } else {
      out += text[at++];
    }
  }
  return out;
}

}  // namespace

std::string wikitext_to_text(std::string_view wikitext) {
  std::string text(wikitext);
  std::erase_if(text, [](char c) { return c == '\x01' || c == '\x02' || c == '\x03'; });
  if (wikitext.starts_with("#REDIRECT") || wikitext.starts_with("#redirect")) return "";
  ProtectedText kept;
  text = remove_elements(text, kept);
  text = resolve_brackets(text);
  text = Blocks().make(text);
  text = decode_entities(without_empty_brackets(text));
  return kept.restore(text);
}

}  // namespace tigerbot::data
