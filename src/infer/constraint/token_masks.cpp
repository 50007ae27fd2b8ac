#include "infer/constraint/token_masks.h"

#include <algorithm>
#include <set>

namespace tigerbot::constraint {

namespace {

constexpr std::int32_t kBottom = -1;  // no frame of the walk's own is open

}  // namespace

/// The tokens of the nodes [begin, end) and what closes the container, from `start` on, where the
/// byte before the first node's has led.
void TokenMasks::walk(StateId start, std::int32_t begin, std::int32_t end, Found& found) {
  if (begin >= end) return;
  const auto nodes = trie_.nodes();
  std::vector<Place>& at = places_;
  std::vector<OpenFrame>& open = open_;
  open.clear();
  at[nodes[static_cast<std::size_t>(begin)].depth - 1U] = {start, kBottom};
  for (std::int32_t i = begin; i < end;) {
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
}

/// The tokens that stay within `head`, and the nodes where one may leave it with a byte of `after`.
HeadWalk TokenMasks::walk_head(StateId head, const ByteSet& after) {
  const auto nodes = trie_.nodes();
  HeadWalk found;
  found.words.resize(static_cast<std::size_t>((trie_.size() + 31) / 32));
  struct Place {
    StateId state;
    bool may_leave;
  };
  std::vector<Place> at(static_cast<std::size_t>(trie_.longest()) + 1);
  at[0] = {head, automaton_.may_end(head)};
  for (std::int32_t i = 1; i < nodes[0].end;) {
    const TokenTrie::Node& node = nodes[static_cast<std::size_t>(i)];
    const Place& place = at[node.depth - 1U];
    if (place.may_leave && after.contains(node.byte)) found.leaves.push_back(i);
    const StateId next = automaton_.step(place.state, node.byte);
    if (next == Automaton::kDead) {
      i = node.end;
      continue;
    }
    at[node.depth] = {next, next == place.state ? place.may_leave : automaton_.may_end(next)};
    trie_.each_token(node, [&](TokenId id) {
      found.words[static_cast<std::size_t>(id) / 32] |= 1U << (static_cast<unsigned>(id) % 32);
    });
    ++i;
  }
  found.leaves.shrink_to_fit();
  return found;
}

const HeadWalk& TokenMasks::head_walk(StateId head, const ByteSet& after) {
  std::shared_ptr<const HeadWalk>& kept = heads_[{head, after.words()}];
  if (kept) return *kept;
  std::string key = automaton_.description(head);
  if (!key.empty()) {
    for (const std::uint64_t word : after.words()) key += std::to_string(word) + ' ';
    kept = shared_.find(key);
  }
  if (!kept) {
    kept = std::make_shared<HeadWalk>(walk_head(head, after));
    if (!key.empty()) shared_.insert(key, kept);
  }
  bytes_ += kept->bytes();
  return *kept;
}

TokenMasks::Found TokenMasks::tokens_of(StateId state, std::int32_t root) {
  const auto nodes = trie_.nodes();
  const auto words = static_cast<std::size_t>((trie_.size() + 31) / 32);
  Found found;
  std::vector<Automaton::Sequel> sequels;
  if (root == TokenTrie::kRoot) sequels = automaton_.sequels(state);
  // Alternatives that begin differently are walked together: each by itself would cost as much.
  constexpr std::size_t kMostHeads = 2;
  std::set<StateId> heads;
  for (const Automaton::Sequel& sequel : sequels) {
    if (sequel.head != Automaton::kDead) heads.insert(sequel.head);
  }
  if (heads.empty() || heads.size() > kMostHeads) {
    walk(state, root + 1, nodes[static_cast<std::size_t>(root)].end, found);
  } else {
    for (const auto& [head, rest] : sequels) {
      if (head == Automaton::kDead) {
        walk(rest, root + 1, nodes[0].end, found);
        continue;
      }
      const HeadWalk& inside = head_walk(head, automaton_.first_bytes(rest));
      found.words.resize(words);
      for (std::size_t i = 0; i < words; ++i) found.words[i] |= inside.words[i];
      for (const std::int32_t leaf : inside.leaves) {
        walk(rest, leaf, nodes[static_cast<std::size_t>(leaf)].end, found);
      }
    }
  }
  if (!found.words.empty() || found.tokens.size() > words) {
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
    kept = std::make_unique<Found>(tokens_of(state, node));
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
    heads_.clear();
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
