#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dedup/candidate_index.h"
#include "data/dedup/numbering.h"

namespace tigerbot::data {

/// A candidate pair whose sketches and lengths allow that the texts are alike, with what later
/// steps need of the fingerprints.
struct LikelyPair {
  std::uint64_t first = 0, second = 0;  ///< numbers of the documents
  float quality_first = 0, quality_second = 0;
  std::uint32_t letters_first = 0, letters_second = 0;
  std::uint32_t matches = 0;  ///< values of the sketches that agree
  std::uint32_t unused = 0;
};
static_assert(sizeof(LikelyPair) == 40);

/// The likely ones of `pairs` (sorted here; each pair may stand there several times), all of whose
/// second documents are of `group`. Fingerprints are read in the order of the documents: the
/// group's own at once, those of the first documents in ascending order, so that the disk is passed
/// over once, however many documents there are.
std::vector<LikelyPair> likely_pairs(std::span<const DedupUnit> units,
                                     const DocumentNumbering& numbering, std::size_t group,
                                     std::vector<CandidatePair>& pairs, double similarity);

}  // namespace tigerbot::data
