#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/readers/html_content.h"

namespace tigerbot::data {

/// What a page says, and what it says of itself.
struct HtmlPage {
  std::string text;  ///< Markdown-like: # headings, - and 1. lists, > quotes, | tables |, ``` code
  std::string title, url, date, language;  ///< "" where the page does not say
};

/// The main content of an HTML page in UTF-8. Never fails: a page without text gives none.
HtmlPage extract_page(std::string_view html);

/// Text of the content, a blank line between blocks.
std::string content_to_text(const HtmlTree& tree, const HtmlContent& content);

}  // namespace tigerbot::data
