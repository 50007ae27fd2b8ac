#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/normalizer.h"
#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// A token that is found in the text itself, before the pre-tokenizer and the model see it.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;      ///< a control token: decode may leave it out
  bool normalized = false;   ///< looked for in the normalized text instead of the raw text
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool single_word = false;  ///< only where no word character touches it
};

/// Finds added tokens in a text: from the left, the longest at each place.
class AddedTokenFinder {
 public:
  /// `contents[i]` is what to look for where tokens[i] is meant; an empty one is never found.
  AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& contents);

  /// A part of the text: an added token, or text between them (token is null).
  struct Segment {
    std::string_view text;
    const AddedToken* token = nullptr;
  };
  /// The parts of `text` (valid UTF-8) in order, none empty but where the reference gives one too.
  std::vector<Segment> split(std::string_view text, bool parse_special_tokens) const;

  bool empty() const { return tokens_.empty(); }

 private:
  // A trie; a node's children are found by (node, byte).
  std::size_t longest_match(std::string_view text, std::size_t position, std::int32_t& token) const;
  std::size_t next_candidate(std::string_view text, std::size_t position) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::uint64_t, std::uint32_t> children_;
  std::vector<std::int32_t> token_at_;  // by node; -1 for none
  std::array<bool, 256> starts_{};
  std::string first_bytes_;
};

}  // namespace tigerbot
