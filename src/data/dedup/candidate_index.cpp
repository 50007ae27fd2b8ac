#include "data/dedup/candidate_index.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <numeric>
#include <span>

namespace tigerbot::data {
namespace {

/// Documents with a common key that are compared all with all.
constexpr std::size_t kAll = 8;
/// Documents before it that one is paired with where there are more.
constexpr std::size_t kNeighbours = 2;
/// Where there are more than these, two further values must agree: ten bits agree by chance there.
constexpr std::size_t kMany = 64;
/// Places of the further values after the key's own; all odd, so that no two keys make the same
/// couple of values.
constexpr std::array<std::size_t, kFurther> kOffsets{1, 3, 7, 15, 21};

/// Further values that agree.
int agreements(const KeyRecord& a, const KeyRecord& b) {
  int agree = 0;
  for (std::size_t which = 0; which < kFurther; ++which)
    agree += a.further(which) == b.further(which) ? 1 : 0;
  return agree;
}

CandidatePair pair_of(const KeyRecord& a, const KeyRecord& b) {
  return {std::min(a.number(), b.number()), std::max(a.number(), b.number())};
}

void add_pairs(std::span<KeyRecord> group, std::vector<CandidatePair>& pairs) {
  if (group.size() <= kAll) {
    for (std::size_t k = 1; k < group.size(); ++k)
      for (std::size_t other = 0; other < k; ++other)
        if (agreements(group[other], group[k]) > 0)
          pairs.push_back(pair_of(group[other], group[k]));
    return;
  }
  const int needed = group.size() > kMany ? 2 : 1;
  for (std::size_t which = 0; which < kFurther; ++which) {
    // By this value, then by all of them, so that those that agree in more stand together.
    std::sort(group.begin(), group.end(), [which](const KeyRecord& a, const KeyRecord& b) {
      const std::uint32_t x = a.further(which), y = b.further(which);
      return x != y ? x < y : a < b;
    });
    for (std::size_t k = 1; k < group.size(); ++k)
      for (std::size_t back = 1; back <= std::min(k, kNeighbours); ++back)
        if (group[k - back].further(which) == group[k].further(which) &&
            agreements(group[k - back], group[k]) >= needed)
          pairs.push_back(pair_of(group[k - back], group[k]));
  }
}

/// Brings records with the same key together: they are dealt into piles by bits of the key's hash,
/// and each pile, small enough for the first cache, is sorted there.
void sort_by_key(std::vector<KeyRecord>& records) {
  constexpr std::size_t kPile = 1024;
  const std::size_t piles = std::bit_ceil(records.size() / kPile + 1);
  // The upper bits are the bucket's own: nearly the same for all of its records.
  const auto pile_of = [&](const KeyRecord& record) { return record.hash() & (piles - 1); };
  std::vector<std::size_t> starts(piles + 1, 0);
  for (const KeyRecord& record : records) ++starts[pile_of(record) + 1];
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  std::vector<KeyRecord> dealt(records.size());
  std::vector<std::size_t> next(starts.begin(), starts.end() - 1);
  for (const KeyRecord& record : records) dealt[next[pile_of(record)]++] = record;
  for (std::size_t pile = 0; pile < piles; ++pile)
    std::sort(dealt.begin() + static_cast<std::ptrdiff_t>(starts[pile]),
              dealt.begin() + static_cast<std::ptrdiff_t>(starts[pile + 1]));
  records.swap(dealt);
}

}  // namespace

std::array<KeyRecord, kKeys> keys_of(const Sketch& sketch, std::uint64_t number) {
  std::array<KeyRecord, kKeys> records;
  for (std::size_t k = 0; k < kKeys; ++k) {
    std::uint64_t further = 0;
    for (std::size_t which = 0; which < kFurther; ++which) {
      const std::uint64_t value = sketch[(2 * k + kOffsets[which]) % kSketchSize] & 1023;
      further |= value << (10 * which);
    }
    const std::uint64_t key = std::uint64_t{k} << 32 | sketch[2 * k];
    records[k] = {key << 28 | further >> 22, further << 42 | number};
  }
  return records;
}

std::vector<CandidatePair> candidate_pairs(std::vector<KeyRecord>& records) {
  sort_by_key(records);
  std::vector<CandidatePair> pairs;
  for (std::size_t start = 0, end = 0; start < records.size(); start = end) {
    while (end < records.size() && records[end].key() == records[start].key()) ++end;
    if (end - start > 1) add_pairs(std::span(records).subspan(start, end - start), pairs);
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  return pairs;
}

}  // namespace tigerbot::data
