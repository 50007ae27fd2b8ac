#pragma once

#include <cstdint>
#include <vector>

#include "data/readers/html_tree.h"

namespace tigerbot::data {

/// Which part of a page is its text.
struct HtmlContent {
  std::int32_t root = 0;      ///< node that holds the main content
  std::vector<bool> removed;  ///< by node: it and all under it is boilerplate
};

/// Finds the main content: navigation, headers, footers, side bars, forms, cookie banners,
/// advertisements and hidden parts are taken out by element, role and the words of class and id,
/// unless they hold most of the page; then lists of links by their share of link text; the root is
/// <main> or the one <article>, or else the innermost element that still holds four fifths of the
/// text.
HtmlContent find_content(const HtmlTree& tree);

}  // namespace tigerbot::data
