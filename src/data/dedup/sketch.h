#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/dedup/folded_text.h"

/// The sketch by which documents that are alike are found. Its parts are shingles: runs of letters
/// (folded_text.h) of 8 letters, 3 wide characters or what makes up as much, one ending at each
/// letter. They cross word borders and need none, so that Chinese and Japanese are cut like
/// English.
namespace tigerbot::data {

/// A shingle is the shortest run of at least this weight (letter_weight() of its letters).
inline constexpr int kShingleWeight = 24;
/// The most letters that a shingle has.
inline constexpr std::size_t kShingleLetters = 8;

inline std::uint64_t mix64(std::uint64_t value) {
  value ^= value >> 32;
  value *= 0xD6E8FEB86659FD93;
  value ^= value >> 32;
  value *= 0xD6E8FEB86659FD93;
  value ^= value >> 32;
  return value;
}

/// Calls visit(end, hash) for each shingle, `end` being the index after its last letter. A text
/// lighter than one shingle is one shingle; an empty one has none.
template <typename Visit>
void for_each_shingle(std::u16string_view letters, Visit visit) {
  constexpr std::uint64_t kBase = 0x9E3779B97F4A7C55;
  std::array<std::uint64_t, kShingleLetters + 2> power{};  // of kBase
  power[0] = 1;
  for (std::size_t k = 1; k < power.size(); ++k) power[k] = power[k - 1] * kBase;
  std::uint64_t rolling = 0;
  int weight = 0;
  std::size_t start = 0;
  for (std::size_t end = 0; end < letters.size(); ++end) {
    // 1 is added so that a run of the unit 0 does not hash like a shorter one.
    rolling = rolling * kBase + letters[end] + 1;
    weight += letter_weight(letters[end]);
    for (int front = letter_weight(letters[start]); weight - front >= kShingleWeight;
         front = letter_weight(letters[start])) {
      rolling -= (letters[start] + std::uint64_t{1}) * power[end - start];
      weight -= front;
      ++start;
    }
    if (weight >= kShingleWeight) visit(end + 1, mix64(rolling));
  }
  if (weight < kShingleWeight && !letters.empty()) visit(letters.size(), mix64(rolling));
}

/// Values of a sketch. Two texts have the same value at one place with a probability equal to the
/// Jaccard similarity of their sets of shingles.
inline constexpr std::size_t kSketchSize = 32;
using Sketch = std::array<std::uint32_t, kSketchSize>;

/// MinHash in one pass over the shingles: each falls into one of 32 bins by its hash, and the least
/// hash of a bin is its value; bins of short texts that stay empty are filled by further rounds
/// with other hashes (Dahlgaard, Knudsen and Thorup 2017, "Fast Similarity Sketching"). `scratch`
/// is memory to reuse.
Sketch make_sketch(std::u16string_view letters, std::vector<std::uint64_t>& scratch);

/// Charikar's simhash (2002) of the sequence of shingles: bit k is set where most of their hashes
/// have it set. The index does without it: docs/data-deduplication.md says why.
std::uint64_t sequence_simhash(std::u16string_view letters);

/// Places at which two sketches agree, 0 to 32.
int sketch_matches(const Sketch& a, const Sketch& b);

}  // namespace tigerbot::data
