#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tigerbot {

/// A regular expression as tokenizer.json writes it (Oniguruma's syntax), run by PCRE2 with JIT.
/// What the two read differently (\h, nested classes, Unicode versions, line anchors) is rewritten;
/// what cannot be rewritten is an error. Immutable and safe to use from many threads.
class Pattern {
 public:
  /// `where` names the file and the node in errors.
  Pattern(const std::string& expression, const std::string& where);
  ~Pattern();
  Pattern(Pattern&&) noexcept;

  /// Begins and ends of the matches in `text` (valid UTF-8), from left to right, not overlapping.
  std::vector<std::pair<std::size_t, std::size_t>> find_all(std::string_view text) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

/// `expression` in PCRE2's syntax; the first half of Pattern's constructor.
std::string translate_oniguruma(const std::string& expression, const std::string& where);

}  // namespace tigerbot
