#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot::constraint {

/// The bytes that tokens add to an answer.
struct TokenBytes {
  std::vector<std::string> of;  ///< by id; empty for tokens that have no text (special ones)
  /// The text of an answer's first token goes without its leading space (SentencePiece).
  bool first_loses_space = false;

  std::int64_t longest() const;
};

/// How `tokenizer` writes its tokens: byte-level BPE or SentencePiece. An Error for any other kind.
TokenBytes token_bytes(const Tokenizer& tokenizer);

/// A vocabulary as a tree of bytes, laid out in the order in which a depth-first search visits it:
/// a subtree that a grammar does not enter is one jump.
class TokenTrie {
 public:
  explicit TokenTrie(TokenBytes tokens);

  struct Node {
    std::int32_t end;     ///< the node after this one's subtree
    std::int32_t token;   ///< the token that ends here, -1: none, below: -2 - index of several
    std::uint16_t depth;  ///< bytes from the root
    std::uint8_t byte;
  };
  static constexpr std::int32_t kRoot = 0;

  std::span<const Node> nodes() const { return nodes_; }
  const TokenBytes& tokens() const { return tokens_; }
  /// Number of ids.
  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.of.size()); }
  std::int64_t longest() const { return longest_; }
  /// The child of the root for a space, or -1.
  std::int32_t space() const { return space_; }

  template <typename Take>
  void each_token(const Node& node, Take take) const {
    if (node.token >= 0) {
      take(node.token);
    } else if (node.token < -1) {
      for (const TokenId id : several_[static_cast<std::size_t>(-2 - node.token)]) take(id);
    }
  }

 private:
  TokenBytes tokens_;
  std::vector<Node> nodes_;
  std::vector<std::vector<TokenId>> several_;  // tokens that have the same bytes
  std::int64_t longest_ = 0;
  std::int32_t space_ = -1;
};

}  // namespace tigerbot::constraint
