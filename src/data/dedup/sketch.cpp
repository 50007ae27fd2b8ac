#include "data/dedup/sketch.h"

#include <algorithm>

namespace tigerbot::data {
namespace {

constexpr int kRounds = 48;
constexpr std::size_t kKept = 1 << 16;
constexpr std::size_t kShort = 1024;

std::size_t bin_of(std::uint64_t hash) { return hash >> 59; }
std::uint32_t value_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 16); }

/// 64 counters, one for each bit of the words that are added, in bit-sliced form: plane p holds bit
/// p of every counter. Words are summed eight at a time by carry-save adders (Harley and Seal), so
/// that a word costs some five operations.
class BitCounters {
 public:
  void add(std::uint64_t word) {
    block_[count_ % kBlock] = word;
    if (++count_ % kBlock == 0) add_block();
  }
  /// Bits that were set in most words.
  std::uint64_t majority() {
    for (std::size_t k = 0; k < count_ % kBlock; ++k) ripple(block_[k], 0);
    std::uint64_t bits = 0;
    for (int bit = 0; bit < 64; ++bit) {
      std::uint64_t set = 0;
      for (std::size_t p = 0; p < planes_.size(); ++p) set |= (planes_[p] >> bit & 1) << p;
      if (2 * set > count_) bits |= std::uint64_t{1} << bit;
    }
    return bits;
  }

 private:
  static constexpr std::size_t kBlock = 8;
  /// Adds a and b to the plane `sum`; what carries over.
  static std::uint64_t save(std::uint64_t& sum, std::uint64_t a, std::uint64_t b) {
    const std::uint64_t half = sum ^ a;
    const std::uint64_t carry = (sum & a) | (half & b);
    sum = half ^ b;
    return carry;
  }
  void ripple(std::uint64_t carry, std::size_t plane) {
    for (; carry != 0; ++plane) {
      const std::uint64_t both = planes_[plane] & carry;
      planes_[plane] ^= carry;
      carry = both;
    }
  }
  void add_block() {
    const std::uint64_t twos_a = save(planes_[0], block_[0], block_[1]);
    const std::uint64_t twos_b = save(planes_[0], block_[2], block_[3]);
    const std::uint64_t fours_a = save(planes_[1], twos_a, twos_b);
    const std::uint64_t twos_c = save(planes_[0], block_[4], block_[5]);
    const std::uint64_t twos_d = save(planes_[0], block_[6], block_[7]);
    const std::uint64_t fours_b = save(planes_[1], twos_c, twos_d);
    ripple(save(planes_[2], fours_a, fours_b), 3);
  }

  std::array<std::uint64_t, 40> planes_{};
  std::array<std::uint64_t, kBlock> block_{};
  std::uint64_t count_ = 0;
};

}  // namespace

std::uint64_t sequence_simhash(std::u16string_view letters) {
  BitCounters counters;
  for_each_shingle(letters, [&](std::size_t, std::uint64_t hash) { counters.add(hash); });
  return counters.majority();
}

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
    // A long text with few different shingles repeats them; in a short one that is not worth it.
    if (scratch.size() > kShort) {
      std::sort(scratch.begin(), scratch.end());
      scratch.erase(std::unique(scratch.begin(), scratch.end()), scratch.end());
    }
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

}  // namespace tigerbot::data
