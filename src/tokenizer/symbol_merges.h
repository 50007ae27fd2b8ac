#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace tigerbot {

/// The merge rules of a byte-pair encoder over symbols (small numbers), and the greedy merging
/// itself: the pair of lowest priority first, leftmost among equals.
class SymbolMerges {
 public:
  using Symbol = std::int32_t;  ///< negative: a symbol that merges with nothing

  struct Merge {
    Symbol left, right, merged;
    std::uint32_t priority;
  };

  /// `joins` are the pairs of first symbols (characters) that any merge brings together: between
  /// two characters that are no such pair, nothing ever merges. Of equal (left, right) the last
  /// stays.
  SymbolMerges(const std::vector<Merge>& merges,
               const std::vector<std::pair<Symbol, Symbol>>& joins);

  /// False if no merge ever crosses the place between these two characters.
  bool may_join(Symbol left, Symbol right) const {
    const std::uint64_t bit = hash(left, right) >> (64 - kJoinBits);
    return (joins_[bit >> 6] >> (bit & 63) & 1) != 0;
  }

  struct Scratch {
    std::vector<std::uint32_t> priorities, previous, next;
    std::vector<Symbol> merged;
    std::vector<std::uint64_t> heap;
    /// The last pair seen for each merged symbol, where asked for.
    std::vector<std::pair<Symbol, Symbol>>* parts = nullptr;
  };

  /// Merges `symbols[0, count)` in place and returns how many are left. Quadratic merging serves
  /// short words, a heap the long ones, so that time grows as n log n.
  std::size_t merge(Symbol* symbols, std::size_t count, Scratch& scratch) const;

 private:
  static constexpr int kJoinBits = 20;
  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

  struct Entry {
    Symbol left = -1, right = -1, merged = -1;
    std::uint32_t priority = kNone;
  };

  static std::uint64_t hash(Symbol left, Symbol right) {
    const std::uint64_t pair =
        std::uint64_t(std::uint32_t(left)) << 32 | std::uint64_t(std::uint32_t(right));
    const std::uint64_t product = pair * 0x9E3779B97F4A7C15u;
    return (product ^ product >> 29) * 0xBF58476D1CE4E5B9u;
  }
  const Entry& find(Symbol left, Symbol right) const;
  std::size_t merge_short(Symbol* symbols, std::size_t count) const;
  std::size_t merge_long(Symbol* symbols, std::size_t count, Scratch& scratch) const;

  std::vector<Entry> table_;  // open addressing, a power of two, at most half full
  int table_bits_ = 1;
  std::vector<std::uint64_t> joins_;  // a bit for each hash of a pair; collisions only cost time
};

}  // namespace tigerbot
