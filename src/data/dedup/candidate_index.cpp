#include "data/dedup/candidate_index.h"

#include <algorithm>

namespace tigerbot::data {
namespace {

constexpr std::size_t kNeighbours = 3;

}  // namespace

std::array<KeyRecord, kKeys> keys_of(const Sketch& sketch, std::uint64_t number) {
  std::array<KeyRecord, kKeys> records;
  for (std::size_t k = 0; k < kKeys; ++k) {
    const auto value = [&](std::size_t at) { return std::uint64_t{sketch[at % kSketchSize]}; };
    const std::uint64_t both = value(2 * k) << 32 | value(2 * k + 1);
    const std::uint64_t further = (value(2 * k + 2) & 0xFFF) << 12 | (value(2 * k + 3) & 0xFFF);
    records[k] = {mix64(both + k * 0x9E3779B97F4A7C15), further << 40 | number};
  }
  return records;
}

std::vector<CandidatePair> candidate_pairs(std::vector<KeyRecord>& records) {
  std::sort(records.begin(), records.end());
  std::vector<CandidatePair> pairs;
  std::size_t start = 0;
  for (std::size_t k = 1; k < records.size(); ++k) {
    if (records[k].key != records[start].key) {
      start = k;
      continue;
    }
    const std::size_t first = std::max(start, k >= kNeighbours ? k - kNeighbours : 0);
    for (std::size_t other = first; other < k; ++other) {
      const std::uint64_t a = records[other].number(), b = records[k].number();
      if (a != b) pairs.push_back({std::min(a, b), std::max(a, b)});
    }
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  return pairs;
}

}  // namespace tigerbot::data
