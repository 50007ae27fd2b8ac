#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Which tokens may come next: token t is bit t % 32 of word t / 32 (the layout that grammar
/// libraries share).
class TokenMask {
 public:
  TokenMask() = default;
  /// Room for this many tokens, none of them allowed.
  explicit TokenMask(std::int64_t tokens)
      : tokens_(tokens), words_(static_cast<std::size_t>((tokens + 31) / 32), 0) {}

  std::int64_t size() const { return tokens_; }
  std::span<std::uint32_t> words() { return words_; }
  std::span<const std::uint32_t> words() const { return words_; }

  bool allows(TokenId id) const {
    return (words_[static_cast<std::size_t>(id) / 32] >> (static_cast<unsigned>(id) % 32) & 1U) !=
           0;
  }
  void allow(TokenId id) {
    words_[static_cast<std::size_t>(id) / 32] |= 1U << (static_cast<unsigned>(id) % 32);
  }

 private:
  std::int64_t tokens_ = 0;
  std::vector<std::uint32_t> words_;
};

/// What an answer may say, token by token: a grammar, a JSON schema, a list of choices. One object
/// follows one answer; the engine clones the request's for each. Called on the engine's threads,
/// one call at a time for each object.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  /// Another one in the same state.
  virtual std::unique_ptr<TokenConstraint> clone() const = 0;

  /// Sets the bits of all tokens that may come next, and clears the others. Tokens that end an
  /// answer are among them where the answer may end. None at all is an Error of the request's.
  virtual void fill(TokenMask& mask) = 0;

  /// Goes on past a token that fill allowed. Not called for one that ends the answer.
  virtual void accept(TokenId id) = 0;

  /// Whether nothing may come any more: the answer ends here, without another token.
  virtual bool finished() const = 0;
};

}  // namespace tigerbot
