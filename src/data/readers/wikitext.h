#pragma once

#include <string>
#include <string_view>

namespace tigerbot::data {

/// The text of an article in MediaWiki's markup (UTF-8): headings as #, lists as - and 1., tables
/// as rows of cells, code and formulas kept; templates (but for the few that wrap running text),
/// references, files, categories and the sections that only list sources are gone. Takes time
/// linear in the length, whatever the text is.
std::string wikitext_to_text(std::string_view wikitext);

}  // namespace tigerbot::data
