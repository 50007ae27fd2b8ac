#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/dedup/fingerprint.h"

/// The banded index that finds candidates for near duplicates. A document has 16 keys, one of its
/// sketch's values each, and each key carries five more of them in short; documents that share a
/// key and one of its five are candidates. That is an index with 80 bands of two values for the
/// price of 16: with a Jaccard similarity s of their shingles two documents meet with probability
/// 1 - (1 - s (1 - (1 - s)^5))^16, nearly: 0.88 at s = 0.2, 0.99 at 0.3.
namespace tigerbot::data {

inline constexpr std::size_t kKeys = 16;
inline constexpr std::size_t kFurther = 5;

/// A key of a document: 4 bits of its place, 32 of the value, five further values of 10 bits, and
/// 40 bits of the document's number. Sorting puts documents with a common key together.
struct KeyRecord {
  std::uint64_t high = 0;  ///< place, value, 28 bits of the further values
  std::uint64_t low = 0;   ///< 24 bits of the further values (2 unused), the number

  auto operator<=>(const KeyRecord&) const = default;
  std::uint64_t key() const { return high >> 28; }
  std::uint64_t number() const { return low & ((std::uint64_t{1} << 40) - 1); }
  std::uint32_t further(std::size_t which) const {
    const std::uint64_t all = (high & ((1u << 28) - 1)) << 22 | low >> 42;
    return static_cast<std::uint32_t>(all >> (10 * which) & 1023);
  }
  /// What decides about the bucket.
  std::uint64_t hash() const { return mix64(key() + 1); }
};
static_assert(sizeof(KeyRecord) == 16);

std::array<KeyRecord, kKeys> keys_of(const Sketch& sketch, std::uint64_t number);

/// Two documents that may be near duplicates; first < second.
struct CandidatePair {
  std::uint64_t first = 0, second = 0;

  auto operator<=>(const CandidatePair&) const = default;
};

/// The pairs of one bucket of keys (which are sorted here), each once. Up to eight documents with a
/// common key are compared all with all. Where there are more (boilerplate, a common phrase), they
/// are sorted by each of the further values in turn, and a document is paired with the two before
/// it where that value is the same too (in groups of more than 64 a second one as well). So the
/// pairs grow with the number of documents and not with its square, and a text that stands in a
/// million documents still makes one cluster: each of them is paired with its neighbours.
std::vector<CandidatePair> candidate_pairs(std::vector<KeyRecord>& records);

}  // namespace tigerbot::data
