#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tigerbot {

/// Counters of pairs of symbols, open addressing; pairs are never taken out one by one.
class PairTable {
 public:
  using Key = std::uint64_t;
  static Key key(std::uint32_t left, std::uint32_t right) { return Key{left} << 32 | right; }
  static std::uint64_t hash(Key key) {
    const std::uint64_t product = key * 0x9E3779B97F4A7C15u;
    return product ^ product >> 32;
  }

  struct Entry {
    Key key = kFree;
    std::int64_t count = 0;
    std::uint64_t note = 0;  ///< the user's own
  };

  PairTable() : entries_(1024) {}

  Entry* find(Key key) {
    for (std::size_t slot = hash(key) & (entries_.size() - 1);;
         slot = (slot + 1) & (entries_.size() - 1)) {
      if (entries_[slot].key == key) return &entries_[slot];
      if (entries_[slot].key == kFree) return nullptr;
    }
  }

  /// The entry of a pair, made with zeros if missing; valid until the next insertion.
  Entry& operator[](Key key) {
    if (size_ * 2 >= entries_.size()) grow();
    Entry& entry = slot_of(key);
    if (entry.key == kFree) {
      entry.key = key;
      ++size_;
    }
    return entry;
  }

  std::size_t size() const { return size_; }

  /// Every entry, in the order of the table.
  template <typename Use>
  void for_each(const Use& use) {
    for (Entry& entry : entries_) {
      if (entry.key != kFree) use(entry);
    }
  }

 private:
  static constexpr Key kFree = ~Key{0};

  Entry& slot_of(Key key) {
    std::size_t slot = hash(key) & (entries_.size() - 1);
    while (entries_[slot].key != key && entries_[slot].key != kFree) {
      slot = (slot + 1) & (entries_.size() - 1);
    }
    return entries_[slot];
  }
  void grow() {
    std::vector<Entry> old(entries_.size() * 2);
    old.swap(entries_);
    for (const Entry& entry : old) {
      if (entry.key != kFree) slot_of(entry.key) = entry;
    }
  }

  std::vector<Entry> entries_;
  std::size_t size_ = 0;
};

}  // namespace tigerbot
