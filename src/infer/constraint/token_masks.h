#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "infer/constraint/automaton.h"
#include "infer/constraint/token_trie.h"
#include "infer/token_constraint.h"

namespace tigerbot::constraint {

/// Which tokens may come in each state of an automaton. What a state allows whatever is open around
/// it is found once, by a walk over the vocabulary's tree, and kept; only tokens that close the
/// container that the state is in depend on the stack, and go on from where they leave it. Not for
/// several threads.
class TokenMasks {
 public:
  /// `trie` must outlive the masks.
  TokenMasks(Automaton& automaton, const TokenTrie& trie) : automaton_(automaton), trie_(trie) {}

  /// Allows what may come in `state` inside the containers whose frames are on `stack`. `first`:
  /// the token will lose its leading space.
  void allow(StateId state, std::span<const std::int32_t> stack, bool first, TokenMask& mask);

  /// Bytes that the kept masks take.
  std::size_t bytes() const { return bytes_; }

 private:
  /// A token, or the beginning of some, closes the container that a walk began in.
  struct Exit {
    std::int32_t node;
    std::int32_t closed;  // which rules may have ended: Automaton::Bracket::frame
  };
  /// The tokens below a node of the tree that a state allows: a mask, or a list if they are few.
  struct Found {
    std::vector<std::uint32_t> words;
    std::vector<TokenId> tokens;
    std::vector<Exit> exits;
  };
  const Found& find(StateId state, std::int32_t node);
  Found walk(StateId state, std::int32_t node) const;
  void add(const Found& found, std::span<const std::int32_t> stack, TokenMask& mask);

  Automaton& automaton_;
  const TokenTrie& trie_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Found>> found_;
  std::size_t bytes_ = 0;
};

}  // namespace tigerbot::constraint
