#include "data/dedup/likely_pairs.h"

#include <algorithm>
#include <memory>

namespace tigerbot::data {
namespace {

/// Values of two sketches that must agree before texts are read.
constexpr int kSketchMatches = 4;
/// Fingerprints that are read together at most, and the most between two that are wanted.
constexpr std::size_t kTogether = 512, kBetween = 16;

std::vector<Fingerprint> fingerprints_of(std::span<const DedupUnit> units,
                                         const DocumentNumbering& numbering, std::size_t group) {
  std::vector<Fingerprint> all;
  all.reserve(numbering.documents_in(group));
  for (std::size_t unit = numbering.first_unit(group); unit < numbering.first_unit(group + 1);
       ++unit) {
    const FingerprintFile file(units[unit].fingerprints);
    const std::vector<Fingerprint> part = file.read(0, file.size());
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

/// Fingerprints that are asked for in ascending order.
class AscendingFingerprints {
 public:
  AscendingFingerprints(std::span<const DedupUnit> units, const DocumentNumbering& numbering,
                        std::span<const CandidatePair> pairs)
      : units_(units), numbering_(numbering), pairs_(pairs) {}

  /// Of pairs[at].first; `at` never becomes less.
  const Fingerprint& of(std::size_t at) {
    const std::uint64_t number = pairs_[at].first;
    if (number - first_ >= piece_.size()) load(at);
    return piece_[number - first_];
  }

 private:
  void load(std::size_t at) {
    first_ = pairs_[at].first;
    const DocumentNumbering::Place place = numbering_.place_of(first_);
    const std::uint64_t end = numbering_.first_of(place.unit + 1);
    std::uint64_t last = first_;
    for (++at; at < pairs_.size(); ++at) {
      const std::uint64_t next = pairs_[at].first;
      if (next >= end || next - last > kBetween || next - first_ >= kTogether) break;
      last = next;
    }
    if (!file_ || unit_ != place.unit) {
      file_ = std::make_unique<FingerprintFile>(units_[place.unit].fingerprints);
      unit_ = place.unit;
    }
    piece_ = file_->read(place.document, last - first_ + 1);
  }

  std::span<const DedupUnit> units_;
  const DocumentNumbering& numbering_;
  std::span<const CandidatePair> pairs_;
  std::unique_ptr<FingerprintFile> file_;
  std::size_t unit_ = 0;
  std::uint64_t first_ = 0;  // number of the piece's first document
  std::vector<Fingerprint> piece_;
};

}  // namespace

std::vector<LikelyPair> likely_pairs(std::span<const DedupUnit> units,
                                     const DocumentNumbering& numbering, std::size_t group,
                                     std::vector<CandidatePair>& pairs, double similarity) {
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  const std::vector<Fingerprint> own = fingerprints_of(units, numbering, group);
  const std::uint64_t own_first = numbering.first_of(numbering.first_unit(group));
  AscendingFingerprints others(units, numbering, pairs);
  std::vector<LikelyPair> likely;
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    const auto [first, second] = pairs[k];
    if (numbering.is_earlier(second) && numbering.is_earlier(first)) continue;
    const Fingerprint& a = first >= own_first ? own[first - own_first] : others.of(k);
    const Fingerprint& b = own[second - own_first];
    if (std::min(a.letters, b.letters) < similarity * std::max(a.letters, b.letters)) continue;
    const int matches = sketch_matches(a.sketch, b.sketch);
    if (matches >= kSketchMatches)
      likely.push_back({first, second, a.quality, b.quality, a.letters, b.letters,
                        static_cast<std::uint32_t>(matches), 0});
  }
  return likely;
}

}  // namespace tigerbot::data
