#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/dedup/decisions_by_unit.h"
#include "data/dedup/numbering.h"

namespace tigerbot::data {

/// Two documents that were compared and found alike, with what the rule of the best needs.
struct SimilarPair {
  std::uint64_t first = 0, second = 0;  ///< numbers of the documents
  float similarity = 0;
  float quality_first = 0, quality_second = 0;
  std::uint32_t letters_first = 0, letters_second = 0;
  std::uint32_t unused = 0;
};
static_assert(sizeof(SimilarPair) == 40);

/// Who of a cluster stays: among documents of earlier runs and then of this one, by quality and
/// length, by length, or by order alone; the first where these are equal.
enum class KeepRule { kQuality, kLongest, kFirst };

/// Clusters of near duplicates by union-find over the pairs. The best of each cluster stays; the
/// others go, but only those that are themselves like a document that stays: a chain of small steps
/// does not carry a decision to a text that is far from the start. So in rounds: the best undecided
/// document of each cluster stays; undecided ones known to be like one that stays go; the others
/// are to be compared with the best (open_pairs()), and what passes goes too. What is left makes
/// the next round.
///
/// Memory: 32 bytes a document that stands in a pair, and nothing for the others.
class Clusters {
 public:
  /// Calls visit(pair) for every pair, in the same order each time; pairs are too many to keep.
  using ForEachPair = std::function<void(const std::function<void(const SimilarPair&)>& visit)>;

  Clusters(const DocumentNumbering& numbering, KeepRule rule, ForEachPair for_each_pair);

  /// Starts a round; pairs (kept, undecided) to be compared, in the order of the undecided ones.
  std::vector<NumberedDecision> open_pairs();
  /// What the comparison of an open pair gave, for those that are similar.
  void decide(const NumberedDecision& similar);
  /// Every decision so far, in the order of the dropped documents' numbers.
  std::vector<NumberedDecision> decisions() const;

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::uint32_t node(std::uint64_t number) const;
  std::uint32_t root(std::uint32_t node);
  bool better(std::uint32_t a, std::uint32_t b) const;
  void use_known_pairs();
  void drop(std::uint32_t node, std::uint32_t kept, float similarity);

  const DocumentNumbering& numbering_;
  KeepRule rule_;
  ForEachPair for_each_pair_;
  std::vector<std::uint64_t> numbers_;  // of each node, ascending
  std::vector<std::uint32_t> parent_;   // union-find
  std::vector<float> quality_, similarity_;
  std::vector<std::uint32_t> letters_;
  std::vector<std::uint32_t> kept_by_;  // itself: stays; another node: dropped; kNone: undecided
  std::vector<std::uint32_t> best_;     // of the cluster with this root, in this round
  bool first_round_ = true;
};

}  // namespace tigerbot::data
