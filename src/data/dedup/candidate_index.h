#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/dedup/fingerprint.h"

/// The banded index that finds candidates for near duplicates: a document has 16 keys, each made of
/// two values of its sketch; documents that share a key are candidates. With a Jaccard similarity s
/// of their shingles, two documents share one with probability 1 - (1 - s^2)^16: 0.94 at 0.4, 0.99
/// at 0.5.
namespace tigerbot::data {

inline constexpr std::size_t kKeys = 16;

/// A key of a document. Sorting puts documents with a common key together, and among them those
/// that agree in further values of the sketch.
struct KeyRecord {
  std::uint64_t key = 0;
  std::uint64_t more_and_number = 0;  ///< 24 bits of further values, 40 of the document's number

  auto operator<=>(const KeyRecord&) const = default;
  std::uint64_t number() const { return more_and_number & ((std::uint64_t{1} << 40) - 1); }
};
static_assert(sizeof(KeyRecord) == 16);

std::array<KeyRecord, kKeys> keys_of(const Sketch& sketch, std::uint64_t number);

/// Two documents that may be near duplicates; first < second.
struct CandidatePair {
  std::uint64_t first = 0, second = 0;

  auto operator<=>(const CandidatePair&) const = default;
};

/// The pairs of one bucket of keys (which are sorted here). A document is paired with at most three
/// that come before it under the key, those that agree in most further values among them, so that a
/// text that stands in a million documents costs no more than three million pairs; clusters still
/// hang together, each document with its neighbours.
std::vector<CandidatePair> candidate_pairs(std::vector<KeyRecord>& records);

}  // namespace tigerbot::data
