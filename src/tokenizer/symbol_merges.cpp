#include "tokenizer/symbol_merges.h"

#include <algorithm>
#include <functional>

namespace tigerbot {
namespace {

// Up to here moving a few numbers is cheaper than keeping a heap.
constexpr std::size_t kShort = 48;

}  // namespace

SymbolMerges::SymbolMerges(const std::vector<Merge>& merges,
                           const std::vector<std::pair<Symbol, Symbol>>& joins)
    : joins_((std::size_t(1) << kJoinBits) / 64) {
  while ((std::size_t(1) << table_bits_) < merges.size() * 2 + 2) ++table_bits_;
  table_.resize(std::size_t(1) << table_bits_);
  const std::size_t mask = table_.size() - 1;
  for (const Merge& merge : merges) {
    std::size_t at = hash(merge.left, merge.right) >> (64 - table_bits_);
    while (table_[at].priority != kNone &&
           (table_[at].left != merge.left || table_[at].right != merge.right)) {
      at = (at + 1) & mask;
    }
    table_[at] = {merge.left, merge.right, merge.merged, merge.priority};
  }
  for (const auto& [left, right] : joins) {
    const std::uint64_t bit = hash(left, right) >> (64 - kJoinBits);
    joins_[bit >> 6] |= std::uint64_t(1) << (bit & 63);
  }
}

const SymbolMerges::Entry& SymbolMerges::find(Symbol left, Symbol right) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = hash(left, right) >> (64 - table_bits_);
  while (table_[at].priority != kNone && (table_[at].left != left || table_[at].right != right)) {
    at = (at + 1) & mask;
  }
  return table_[at];
}

std::size_t SymbolMerges::merge(Symbol* symbols, std::size_t count, Scratch& scratch) const {
  if (count < 2) return count;
  if (count <= kShort && scratch.parts == nullptr) return merge_short(symbols, count);
  return merge_long(symbols, count, scratch);
}

std::size_t SymbolMerges::merge_short(Symbol* symbols, std::size_t count) const {
  // priorities[i] and merged[i] are those of the pair (i, i + 1).
  std::uint32_t priorities[kShort];
  Symbol merged[kShort];
  const auto look_up = [&](std::size_t i) {
    const Entry& entry = find(symbols[i], symbols[i + 1]);
    priorities[i] = entry.priority;
    merged[i] = entry.merged;
  };
  for (std::size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (priorities[i] < priorities[best]) best = i;
    }
    if (priorities[best] == kNone) break;
    symbols[best] = merged[best];
    std::copy(symbols + best + 2, symbols + count, symbols + best + 1);
    std::copy(priorities + best + 1, priorities + count - 1, priorities + best);
    std::copy(merged + best + 1, merged + count - 1, merged + best);
    --count;
    if (best > 0) look_up(best - 1);
    if (best + 1 < count) look_up(best);
  }
  return count;
}

std::size_t SymbolMerges::merge_long(Symbol* symbols, std::size_t count, Scratch& scratch) const {
  // Symbols stay where they are, linked; an absorbed one has priority kNone and no heap entry that
  // still counts. A heap entry (priority, place) counts if that is the pair's priority now.
  std::vector<std::uint32_t>& priorities = scratch.priorities;
  std::vector<std::uint32_t>& previous = scratch.previous;
  std::vector<std::uint32_t>& next = scratch.next;
  std::vector<Symbol>& merged = scratch.merged;
  std::vector<std::uint64_t>& heap = scratch.heap;
  std::vector<std::pair<Symbol, Symbol>>* const parts = scratch.parts;
  constexpr std::uint32_t kEnd = kNone;
  priorities.assign(count, kNone);
  merged.resize(count);
  previous.resize(count);
  next.resize(count);
  heap.clear();
  const auto look_up = [&](std::size_t i) {
    priorities[i] = kNone;
    if (next[i] == kEnd) return false;
    const Entry& entry = find(symbols[i], symbols[next[i]]);
    priorities[i] = entry.priority;
    merged[i] = entry.merged;
    if (entry.priority == kNone) return false;
    if (parts) (*parts)[entry.merged] = {symbols[i], symbols[next[i]]};
    heap.push_back(std::uint64_t(entry.priority) << 32 | i);
    return true;
  };
  for (std::size_t i = 0; i < count; ++i) {
    previous[i] = i == 0 ? kEnd : static_cast<std::uint32_t>(i - 1);
    next[i] = i + 1 == count ? kEnd : static_cast<std::uint32_t>(i + 1);
  }
  for (std::size_t i = 0; i + 1 < count; ++i) look_up(i);
  const std::greater<std::uint64_t> later;
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const std::uint64_t top = heap.back();
    heap.pop_back();
    const auto i = static_cast<std::uint32_t>(top);
    if (priorities[i] != static_cast<std::uint32_t>(top >> 32)) continue;
    const std::uint32_t absorbed = next[i];
    symbols[i] = merged[i];
    next[i] = next[absorbed];
    if (next[absorbed] != kEnd) previous[next[absorbed]] = i;
    priorities[absorbed] = kNone;
    if (previous[i] != kEnd && look_up(previous[i]))
      std::push_heap(heap.begin(), heap.end(), later);
    if (look_up(i)) std::push_heap(heap.begin(), heap.end(), later);
  }
  std::size_t left = 0;
  for (std::uint32_t i = 0; i != kEnd; i = next[i]) symbols[left++] = symbols[i];
  return left;
}

}  // namespace tigerbot
