#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

/// The characters that text in a base tokenizer's languages is made of, by Unicode script, and
/// which byte strings such text can hold. A merge whose piece cannot occur in it leaves its ids as
/// they are, whatever the text says.
///
/// Common and inherited characters (punctuation, digits, emoji, combining marks) belong to every
/// language, but for those that only East Asian text uses: CJK punctuation, full- and half-width
/// forms, enclosed and squared characters.
class BaseTextGuard {
 public:
  /// Script names as Unicode has them ("Latin", "Cyrillic", or "Latn"). An Error names an unknown
  /// one.
  explicit BaseTextGuard(const std::vector<std::string>& scripts);

  bool is_base_character(char32_t code_point) const;

  /// True if every character of `text` (valid UTF-8) is the base's.
  bool is_base_text(std::string_view text) const;

  /// True if text of base characters alone may hold `bytes`, which may begin and end in the middle
  /// of a character: no part of it shows a character that the base does not have.
  bool may_occur(std::string_view bytes) const;

 private:
  bool any_base_character(std::uint32_t first, std::uint32_t last) const;

  std::vector<std::uint32_t> before_;  // base characters below a code point
};

}  // namespace tigerbot
