#include "data/dedup/clusters.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tigerbot::data {

Clusters::Clusters(const DocumentNumbering& numbering, KeepRule rule, ForEachPair for_each_pair)
    : numbering_(numbering), rule_(rule), for_each_pair_(std::move(for_each_pair)) {
  // Sorted and thinned whenever it has doubled, so that it stays near the number of documents.
  std::size_t thinned = 1 << 16;
  const auto thin = [&] {
    std::sort(numbers_.begin(), numbers_.end());
    numbers_.erase(std::unique(numbers_.begin(), numbers_.end()), numbers_.end());
    thinned = std::max<std::size_t>(1 << 16, 2 * numbers_.size());
  };
  for_each_pair_([&](const SimilarPair& pair) {
    numbers_.push_back(pair.first);
    numbers_.push_back(pair.second);
    if (numbers_.size() >= thinned) thin();
  });
  thin();
  numbers_.shrink_to_fit();
  if (numbers_.size() >= kNone) fail("more than {} documents have near duplicates", kNone - 1);
  const std::size_t count = numbers_.size();
  parent_.resize(count);
  for (std::size_t k = 0; k < count; ++k) parent_[k] = static_cast<std::uint32_t>(k);
  quality_.assign(count, 0);
  letters_.assign(count, 0);
  similarity_.assign(count, 0);
  kept_by_.assign(count, kNone);
  best_.assign(count, kNone);
  for_each_pair_([&](const SimilarPair& pair) {
    std::uint32_t a = node(pair.first), b = node(pair.second);
    quality_[a] = pair.quality_first;
    quality_[b] = pair.quality_second;
    letters_[a] = pair.letters_first;
    letters_[b] = pair.letters_second;
    a = root(a);
    b = root(b);
    if (a != b) parent_[std::max(a, b)] = std::min(a, b);
  });
  // What an earlier run has kept stays.
  for (std::uint32_t k = 0; k < count; ++k)
    if (numbering_.is_earlier(numbers_[k])) kept_by_[k] = k;
}

std::uint32_t Clusters::node(std::uint64_t number) const {
  const auto found = std::lower_bound(numbers_.begin(), numbers_.end(), number);
  if (found == numbers_.end() || *found != number)
    fail_internal("document {} is in no pair", number);
  return static_cast<std::uint32_t>(found - numbers_.begin());
}

std::uint32_t Clusters::root(std::uint32_t node) {
  while (parent_[node] != node) {
    parent_[node] = parent_[parent_[node]];
    node = parent_[node];
  }
  return node;
}

bool Clusters::better(std::uint32_t a, std::uint32_t b) const {
  if (rule_ == KeepRule::kQuality && quality_[a] != quality_[b]) return quality_[a] > quality_[b];
  if (rule_ != KeepRule::kFirst && letters_[a] != letters_[b]) return letters_[a] > letters_[b];
  return a < b;
}

void Clusters::drop(std::uint32_t node, std::uint32_t kept, float similarity) {
  const bool undecided = kept_by_[node] == kNone;
  // The more similar of several that stay; the order of the pairs decides nothing.
  if (undecided || similarity > similarity_[node] ||
      (similarity == similarity_[node] && kept < kept_by_[node])) {
    kept_by_[node] = kept;
    similarity_[node] = similarity;
  }
}

void Clusters::use_known_pairs() {
  for_each_pair_([&](const SimilarPair& pair) {
    const std::uint32_t a = node(pair.first), b = node(pair.second);
    const bool a_stays = kept_by_[a] == a, b_stays = kept_by_[b] == b;
    if (a_stays && !b_stays) drop(b, a, pair.similarity);
    if (b_stays && !a_stays) drop(a, b, pair.similarity);
  });
}

std::vector<NumberedDecision> Clusters::open_pairs() {
  const auto count = static_cast<std::uint32_t>(numbers_.size());
  std::fill(best_.begin(), best_.end(), kNone);
  // In the first round a document of an earlier run is the best of its cluster.
  const bool first_round = std::exchange(first_round_, false);
  if (first_round) {
    for (std::uint32_t k = 0; k < count; ++k) {
      std::uint32_t& best = best_[root(k)];
      if (kept_by_[k] == k && (best == kNone || better(k, best))) best = k;
    }
  }
  for (std::uint32_t k = 0; k < count; ++k) {
    if (kept_by_[k] != kNone) continue;
    std::uint32_t& best = best_[root(k)];
    if (best != kNone && kept_by_[best] == best) continue;
    if (best == kNone || better(k, best)) best = k;
  }
  for (std::uint32_t k = 0; k < count; ++k)
    if (best_[k] != kNone) kept_by_[best_[k]] = best_[k];
  use_known_pairs();
  std::vector<NumberedDecision> open;
  for (std::uint32_t k = 0; k < count; ++k)
    if (kept_by_[k] == kNone) open.push_back({numbers_[k], numbers_[best_[root(k)]], 0, 0});
  return open;
}

void Clusters::decide(const NumberedDecision& similar) {
  drop(node(similar.dropped), node(similar.kept), similar.similarity);
}

std::vector<NumberedDecision> Clusters::decisions() const {
  std::vector<NumberedDecision> decisions;
  for (std::uint32_t k = 0; k < numbers_.size(); ++k)
    if (kept_by_[k] != kNone && kept_by_[k] != k)
      decisions.push_back({numbers_[k], numbers_[kept_by_[k]], similarity_[k], 0});
  return decisions;
}

}  // namespace tigerbot::data
