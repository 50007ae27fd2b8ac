#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tigerbot::data {

/// Text that later steps must not look into (code, formulas, nowiki) waits here, and a mark stands
/// for it: \x02 NUMBER \x03.
class ProtectedText {
 public:
  std::string protect(std::string text);
  /// `text` with every mark replaced by what it stands for.
  std::string restore(std::string_view text) const;

 private:
  std::vector<std::string> texts_;
};

/// Comments, references and the elements of HTML and of MediaWiki's extensions undone.
std::string remove_elements(std::string_view wikitext, ProtectedText& kept);

/// Templates, links and language variants undone; nesting deeper than 40 levels stays as it is.
std::string resolve_brackets(std::string_view wikitext);

}  // namespace tigerbot::data
