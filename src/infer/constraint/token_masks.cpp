#include "infer/constraint/token_masks.h"

#include <algorithm>

namespace tigerbot::constraint {

namespace {

/// Frames that tokens of a walk open: a stack of which every position of the walk has a version.
struct OpenFrame {
  std::int32_t frame;
  std::int32_t below;
};
constexpr std::int32_t kBottom = -1;

}  // namespace

TokenMasks::Found TokenMasks::walk(StateId start, std::int32_t root) const {
  const auto nodes = trie_.nodes();
  struct Place {
    StateId state;
    std::int32_t top;  // in `open`, or kBottom
  };
  std::vector<Place> at(static_cast<std::size_t>(trie_.longest()) + 1);
  std::vector<OpenFrame> open;
  Found found;
  const TokenTrie::Node& from = nodes[static_cast<std::size_t>(root)];
  at[from.depth] = {start, kBottom};
  for (std::int32_t i = root + 1; i < from.end;) {
    const TokenTrie::Node& node = nodes[static_cast<std::size_t>(i)];
    Place place = at[node.depth - 1U];
    const Automaton::Action action = automaton_.step(place.state, node.byte);
    if (action == Automaton::kDead) {
      i = node.end;
      continue;
    }
    if (Automaton::is_bracket(action)) {
      const Automaton::Bracket bracket = automaton_.bracket(action);
      if (bracket.opens) {
        open.push_back({bracket.frame, place.top});
        place = {bracket.inside, static_cast<std::int32_t>(open.size() - 1)};
      } else if (place.top == kBottom) {
        found.exits.push_back({i, bracket.frame});
        i = node.end;
        continue;
      } else {
        const OpenFrame& top = open[static_cast<std::size_t>(place.top)];
        place = {automaton_.after(top.frame, bracket.frame), top.below};
        if (place.state == Automaton::kDead) {
          i = node.end;
          continue;
        }
      }
    } else {
      place.state = action;
    }
    at[node.depth] = place;
    trie_.each_token(node, [&](TokenId id) { found.tokens.push_back(id); });
    ++i;
  }
  const auto words = static_cast<std::size_t>((trie_.size() + 31) / 32);
  if (found.tokens.size() > words) {
    found.words.resize(words);
    for (const TokenId id : found.tokens) {
      found.words[static_cast<std::size_t>(id) / 32] |= 1U << (static_cast<unsigned>(id) % 32);
    }
    found.tokens.clear();
  }
  found.tokens.shrink_to_fit();
  return found;
}

const TokenMasks::Found& TokenMasks::find(StateId state, std::int32_t node) {
  state = automaton_.shortened(state, trie_.longest());
  const std::uint64_t key =
      static_cast<std::uint64_t>(state) << 32 | static_cast<std::uint32_t>(node);
  std::unique_ptr<Found>& kept = found_[key];
  if (!kept) {
    kept = std::make_unique<Found>(walk(state, node));
    bytes_ += sizeof(Found) + kept->words.size() * sizeof(std::uint32_t) +
              kept->tokens.size() * sizeof(TokenId) + kept->exits.size() * sizeof(Exit);
  }
  return *kept;
}

void TokenMasks::add(const Found& found, std::span<const std::int32_t> stack, TokenMask& mask) {
  const auto words = mask.words();
  for (std::size_t i = 0; i < found.words.size(); ++i) words[i] |= found.words[i];
  for (const TokenId id : found.tokens) mask.allow(id);
  for (const Exit& exit : found.exits) {
    const StateId next = automaton_.after(stack.back(), exit.closed);
    if (next == Automaton::kDead) continue;
    const TokenTrie::Node& node = trie_.nodes()[static_cast<std::size_t>(exit.node)];
    trie_.each_token(node, [&](TokenId id) { mask.allow(id); });
    if (node.end > exit.node + 1) {
      add(find(next, exit.node), stack.first(stack.size() - 1), mask);
    }
  }
}

void TokenMasks::allow(StateId state, std::span<const std::int32_t> stack, bool first,
                       TokenMask& mask) {
  constexpr std::size_t kMaxBytes = 64 << 20;
  if (bytes_ > kMaxBytes) {
    found_.clear();
    bytes_ = 0;
  }
  if (!first || trie_.space() < 0) {
    add(find(state, TokenTrie::kRoot), stack, mask);
    return;
  }
  // " {" begins an answer as "{" does, and "{" too; a space by itself would be lost.
  const auto nodes = trie_.nodes();
  TokenMask all(mask.size());
  add(find(state, TokenTrie::kRoot), stack, all);
  for (std::int32_t i = trie_.space(); i < nodes[static_cast<std::size_t>(trie_.space())].end;
       ++i) {
    trie_.each_token(nodes[static_cast<std::size_t>(i)], [&](TokenId id) {
      all.words()[static_cast<std::size_t>(id) / 32] &= ~(1U << (static_cast<unsigned>(id) % 32));
    });
  }
  for (std::size_t i = 0; i < all.words().size(); ++i) mask.words()[i] |= all.words()[i];
  add(find(state, trie_.space()), stack, mask);
}

}  // namespace tigerbot::constraint
