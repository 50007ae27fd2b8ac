#include "data/dedup/sketch.h"

#include <algorithm>

namespace tigerbot::data {
namespace {

constexpr int kRounds = 48;
constexpr std::size_t kKept = 1 << 16;

std::size_t bin_of(std::uint64_t hash) { return hash >> 59; }
std::uint32_t value_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 16); }

}  // namespace

Sketch make_sketch(std::u16string_view letters, std::vector<std::uint64_t>& scratch) {
  static_assert(kSketchSize == 32, "bin_of takes five bits");
  // The least whole hash of each bin; the bin's number is its top bits, so they never differ.
  std::array<std::uint64_t, kSketchSize> least;
  least.fill(~std::uint64_t{0});
  for_each_shingle(letters, [&](std::size_t, std::uint64_t hash) {
    std::uint64_t& at = least[bin_of(hash)];
    at = std::min(at, hash);
  });
  Sketch sketch{};
  std::uint32_t filled = 0;  // a bit a bin
  for (std::size_t bin = 0; bin < kSketchSize; ++bin) {
    if (least[bin] == ~std::uint64_t{0}) continue;
    sketch[bin] = value_of(least[bin]);
    filled |= 1u << bin;
  }
  if (filled == ~0u || filled == 0) return sketch;

  // Few different shingles. All of them take part in the further rounds, or, in a long text of
  // repetitions, those that won a bin.
  scratch.clear();
  if (letters.size() <= kKept) {
    for_each_shingle(letters, [&](std::size_t, std::uint64_t hash) { scratch.push_back(hash); });
    std::sort(scratch.begin(), scratch.end());
    scratch.erase(std::unique(scratch.begin(), scratch.end()), scratch.end());
  } else {
    for (const std::uint64_t hash : least)
      if (hash != ~std::uint64_t{0}) scratch.push_back(hash);
  }
  for (int round = 1; round <= kRounds && filled != ~0u; ++round) {
    std::array<std::uint64_t, kSketchSize> best;
    best.fill(~std::uint64_t{0});
    for (const std::uint64_t hash : scratch) {
      const std::uint64_t again =
          mix64(hash + static_cast<std::uint64_t>(round) * 0x9E3779B97F4A7C15);
      std::uint64_t& at = best[bin_of(again)];
      at = std::min(at, again);
    }
    for (std::size_t bin = 0; bin < kSketchSize; ++bin) {
      if ((filled >> bin & 1) != 0 || best[bin] == ~std::uint64_t{0}) continue;
      sketch[bin] = value_of(best[bin]);
      filled |= 1u << bin;
    }
  }
  for (std::size_t bin = 0; bin < kSketchSize; ++bin) {
    if ((filled >> bin & 1) != 0) continue;
    std::uint64_t best = ~std::uint64_t{0};
    for (const std::uint64_t hash : scratch) best = std::min(best, mix64(hash + ~bin));
    sketch[bin] = value_of(best);
  }
  return sketch;
}

int sketch_matches(const Sketch& a, const Sketch& b) {
  int matches = 0;
  for (std::size_t k = 0; k < kSketchSize; ++k) matches += a[k] == b[k] ? 1 : 0;
  return matches;
}

std::uint64_t sequence_simhash(std::u16string_view letters) {
  // 64 counters in bit-sliced form: plane p holds bit p of each.
  std::array<std::uint64_t, 40> planes{};
  std::uint64_t count = 0;
  for_each_shingle(letters, [&](std::size_t, std::uint64_t hash) {
    std::uint64_t carry = hash;
    for (std::size_t p = 0; carry != 0; ++p) {
      const std::uint64_t both = planes[p] & carry;
      planes[p] ^= carry;
      carry = both;
    }
    ++count;
  });
  std::uint64_t bits = 0;
  for (int k = 0; k < 64; ++k) {
    std::uint64_t set = 0;
    for (std::size_t p = 0; p < planes.size(); ++p) set |= (planes[p] >> k & 1) << p;
    if (2 * set > count) bits |= std::uint64_t{1} << k;
  }
  return bits;
}

}  // namespace tigerbot::data
