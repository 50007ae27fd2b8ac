#pragma once

#include <string>
#include <string_view>

namespace tigerbot::data {

/// HTML (UTF-8) without what carries no text, so that a tree of it is small and quickly made
/// whatever the page is: comments, scripts, styles, tags of emphasis and attributes that nobody
/// asks for are gone. Tags nested deeper than 400 elements and those past the first 200,000 are
/// left out, their text stays. (A parser's work on hostile pages grows with the square of the
/// nesting, of the attributes of a tag, and of open tags of emphasis.)
std::string clean_markup(std::string_view html);

/// The encoding that the first 4 KiB name, in an XML declaration or a meta tag; "" if none.
std::string declared_encoding(std::string_view html);

}  // namespace tigerbot::data
