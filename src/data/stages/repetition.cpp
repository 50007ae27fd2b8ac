#include "data/stages/repetition.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tigerbot::data {
namespace {

constexpr std::size_t kMostTokens = 200'000;

std::uint64_t mix(std::uint64_t hash) {
  hash ^= hash >> 32;
  hash *= 0x9FB21C651E98DF25u;
  return hash ^ hash >> 28;
}

/// Hashes of the n-grams that start at each token, for growing n: a token more at each extend().
class NgramHashes {
 public:
  explicit NgramHashes(std::span<const Token> tokens)
      : tokens_(tokens), hashes_(tokens.size(), 0) {}

  void grow_to(std::size_t length) {
    for (; length_ < length; ++length_) {
      if (tokens_.size() < length_ + 1) return;
      for (std::size_t k = 0; k + length_ < tokens_.size(); ++k)
        hashes_[k] = hashes_[k] * 0xD6E8FEB86659FD93u + tokens_[k + length_].hash;
    }
  }
  std::size_t size(std::size_t length) const {
    return tokens_.size() < length ? 0 : tokens_.size() - length + 1;
  }
  std::uint64_t operator[](std::size_t k) const { return mix(hashes_[k]) | 1; }

 private:
  std::span<const Token> tokens_;
  std::vector<std::uint64_t> hashes_;
  std::size_t length_ = 0;
};

/// A table of hashes with counts that is cleared cheaply: a slot counts only in its generation.
struct Slot {
  std::uint64_t hash = 0;
  std::uint32_t generation = 0, count = 0;
};

class CountTable {
 public:
  explicit CountTable(std::size_t entries) {
    std::size_t size = 64;
    while (size < entries * 2) size *= 2;
    slots_.resize(size);
  }
  void clear() { ++generation_; }
  /// How often the hash has been added, this time included.
  std::uint32_t add(std::uint64_t hash) {
    std::size_t slot = hash >> 17 & (slots_.size() - 1);
    for (;; slot = (slot + 1) & (slots_.size() - 1)) {
      Slot& here = slots_[slot];
      if (here.generation != generation_) {
        here = {hash, generation_, 1};
        return 1;
      }
      if (here.hash == hash) return ++here.count;
    }
  }

 private:
  std::vector<Slot> slots_;
  std::uint32_t generation_ = 0;
};

}  // namespace

Repetition repetition(std::span<const Token> tokens, std::size_t scale) {
  Repetition out;
  tokens = tokens.first(std::min(tokens.size(), kMostTokens));
  if (tokens.size() < 2 * scale) return out;
  std::vector<std::uint32_t> ends(tokens.size() + 1, 0);  // characters before each token
  for (std::size_t k = 0; k < tokens.size(); ++k) ends[k + 1] = ends[k] + tokens[k].characters;
  const double total = ends.back();
  if (total == 0) return out;

  NgramHashes hashes(tokens);
  CountTable counts(tokens.size());
  for (std::size_t n = 2; n <= 4; ++n) {
    const std::size_t length = n * scale;
    hashes.grow_to(length);
    counts.clear();
    std::uint32_t most = 0;
    std::size_t at_most = 0;
    for (std::size_t k = 0; k < hashes.size(length); ++k) {
      const std::uint32_t count = counts.add(hashes[k]);
      if (count > most) {
        most = count;
        at_most = k;
      }
    }
    // An n-gram that stands once repeats nothing.
    if (most >= 2)
      out.top[n - 2] = std::min(1.0, most * (ends[at_most + length] - ends[at_most]) / total);
  }
  for (std::size_t n = 5; n <= 10; ++n) {
    const std::size_t length = n * scale;
    hashes.grow_to(length);
    counts.clear();
    std::uint64_t repeated = 0;
    const std::size_t size = hashes.size(length);
    for (std::size_t k = 0; k < size;) {
      if (counts.add(hashes[k]) > 1) {
        repeated += ends[k + length] - ends[k];
        k += length;
      } else {
        ++k;
      }
    }
    out.repeated[n - 5] = static_cast<double>(repeated) / total;
    // Longer n-grams repeat no more than these.
    if (repeated == 0) break;
  }
  return out;
}

}  // namespace tigerbot::data
