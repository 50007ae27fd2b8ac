#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "infer/constraint/automaton.h"
#include "infer/constraint/shared_walks.h"
#include "infer/constraint/token_trie.h"
#include "infer/token_constraint.h"

namespace tigerbot::constraint {

/// Which tokens may come in each state of an automaton. What a state allows whatever is open around
/// it is found once, by a walk over the vocabulary's tree, and kept; only tokens that close the
/// container that the state is in depend on the stack, and go on from where they leave it. What a
/// state begins with, if many do (the inside of a string), is walked once for all of them, and for
/// all grammars: then only tokens that go on past it are left to look at. Not for several threads.
class TokenMasks {
 public:
  /// `trie` and `shared` must outlive the masks.
  TokenMasks(Automaton& automaton, const TokenTrie& trie, SharedWalks& shared)
      : automaton_(automaton),
        trie_(trie),
        shared_(shared),
        places_(static_cast<std::size_t>(trie.longest()) + 1) {}

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
  Found tokens_of(StateId state, std::int32_t node);
  void walk(StateId start, std::int32_t begin, std::int32_t end, Found& found);
  const HeadWalk& head_walk(StateId head, const ByteSet& after);
  HeadWalk walk_head(StateId head, const ByteSet& after);
  void add(const Found& found, std::span<const std::int32_t> stack, TokenMask& mask);

  Automaton& automaton_;
  const TokenTrie& trie_;
  SharedWalks& shared_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Found>> found_;
  std::map<std::pair<StateId, std::array<std::uint64_t, 4>>, std::shared_ptr<const HeadWalk>>
      heads_;
  std::size_t bytes_ = 0;

  // What a walk works with: it has a place for each byte of the path from the root to its node.
  struct Place {
    StateId state;
    std::int32_t top;  // in open_, or none
  };
  /// Frames that tokens of a walk open: a stack of which every place has a version.
  struct OpenFrame {
    std::int32_t frame;
    std::int32_t below;
  };
  std::vector<Place> places_;
  std::vector<OpenFrame> open_;
};

}  // namespace tigerbot::constraint
