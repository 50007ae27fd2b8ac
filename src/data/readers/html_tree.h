#pragma once

#include <gumbo.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot::data {

/// A node of an HTML page: an element, or a piece of text.
struct HtmlNode {
  GumboTag tag = GUMBO_TAG_UNKNOWN;
  bool is_text = false;
  std::string text;                         ///< of a piece of text
  std::string mark;                         ///< class and id, with a space between
  std::string role, style, property;        ///< attributes; property is `name` too
  std::string content, language, relation;  ///< attributes content, lang, rel
  bool hidden = false;                      ///< attribute hidden or aria-hidden="true"
  int start = 1;                            ///< of an ordered list
  std::int32_t parent = -1;
  std::vector<std::int32_t> children;
};

/// Nodes in document order; a node's parent comes before it. The first is <html>.
using HtmlTree = std::vector<HtmlNode>;

/// The tree that HTML 5 makes of cleaned markup (clean_markup()), at most 500 or so levels deep.
HtmlTree parse_html(std::string_view markup);

}  // namespace tigerbot::data
