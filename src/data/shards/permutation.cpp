#include "data/shards/permutation.h"

#include <algorithm>
#include <bit>

#include "base/random.h"

namespace tigerbot::data {
namespace {

/// Every bit of the result depends on every bit of the value and the key (the finalizer of
/// MurmurHash3).
std::uint64_t mix(std::uint64_t value, std::uint64_t key) {
  value ^= key;
  value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD;
  value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53;
  return value ^ value >> 33;
}

}  // namespace

Permutation::Permutation(std::uint64_t size, std::uint64_t seed, std::uint64_t stream)
    : size_(size) {
  const int bits = std::max(2, static_cast<int>(std::bit_width(size - 1)));
  right_bits_ = bits / 2;
  right_mask_ = (std::uint64_t{1} << right_bits_) - 1;
  left_mask_ = (std::uint64_t{1} << (bits - right_bits_)) - 1;
  for (std::uint64_t round = 0; round < keys_.size(); ++round)
    keys_[round] = random_uint64({seed, stream, round});
}

std::uint64_t Permutation::operator()(std::uint64_t position) const {
  std::uint64_t value = position;
  do {
    std::uint64_t left = value >> right_bits_, right = value & right_mask_;
    for (std::size_t round = 0; round < keys_.size(); round += 2) {
      left ^= mix(right, keys_[round]) & left_mask_;
      right ^= mix(left, keys_[round + 1]) & right_mask_;
    }
    value = left << right_bits_ | right;
  } while (value >= size_);
  return value;
}

}  // namespace tigerbot::data
