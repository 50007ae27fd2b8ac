#pragma once

#include <string>
#include <string_view>

namespace tigerbot {

/// `text` as it may stand between tags and in quoted attributes of HTML, whatever it holds. Control
/// characters, which have no place in HTML, become U+FFFD.
std::string escape_html(std::string_view text);

}  // namespace tigerbot
