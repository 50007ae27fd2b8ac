#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tigerbot::data {

/// Takes lines that belong to a page and not to its text out of `text`: cookie banners, copyright
/// and licence notices, "read more" and share buttons, log-in and navigation lines, in English,
/// Chinese (both scripts), Japanese and Korean, and lists of short items between bars ("Home | News
/// | About"). A line goes if a known phrase makes up most of it, or if it is short and has a phrase
/// that stands nowhere else. Nothing is taken where more than half of the text would go: then the
/// text is about such things. True if lines were removed.
bool remove_boilerplate_lines(std::string& text);

/// The phrases it knows, for documentation and tests.
std::vector<std::string> boilerplate_phrases();

}  // namespace tigerbot::data
