#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

/// SentencePiece's compiled normalization rules (`precompiled_charsmap`): a double-array trie from
/// byte strings to replacements, in the layout of darts-clone: 4 bytes of trie size, the trie's
/// 32-bit units, the replacements with a NUL after each. Every step is checked against the size.
class PrecompiledCharsmap {
 public:
  struct Match {
    std::size_t length = 0;        ///< bytes of the text that the rule replaces; 0: no rule
    std::string_view replacement;  ///< lives as long as the charsmap
  };

  PrecompiledCharsmap() = default;
  /// `where` names the file and the field in errors. Replacements are UTF-8; a rule of a damaged
  /// trie whose replacement begins inside a character is an error when it is met.
  PrecompiledCharsmap(std::string_view blob, const std::string& where);

  bool empty() const { return units_.empty(); }

  /// The longest rule that begins `text`, as SentencePiece applies it.
  Match longest_match(std::string_view text) const { return match(text, false); }
  /// The shortest rule that begins `text`, as Hugging Face tokenizers applies it.
  Match shortest_match(std::string_view text) const { return match(text, true); }

  /// False if surely no rule begins with this byte (and, for ASCII, with this pair of bytes).
  bool may_begin(unsigned char first, unsigned char second) const {
    return !units_.empty() && begins_[first] &&
           (first >= 0x80 || alone_[first] || second >= 0x80 || ascii_pairs_);
  }

 private:
  Match match(std::string_view text, bool shortest) const;

  std::vector<std::uint32_t> units_;
  std::string where_;
  std::string replacements_;                              // UTF-8, ends in NUL
  std::vector<char> begins_ = std::vector<char>(256, 0);  // some rule begins with this byte
  std::vector<char> alone_ = std::vector<char>(256, 0);   // this byte alone is a rule
  bool ascii_pairs_ = false;  // some rule begins with two bytes of ASCII
};

}  // namespace tigerbot
