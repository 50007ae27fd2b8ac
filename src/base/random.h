#pragma once

#include <array>
#include <cstdint>

/// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
/// easy as 1, 2, 3"). A number is a pure function of (seed, stream, index): nothing is carried from
/// draw to draw, so any thread, rank or resumed run can compute any number without the ones before.
namespace tigerbot {

/// The ten-round Philox4x32 bijection of `counter` under `key`.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t even = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t odd = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(odd >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(odd),
               static_cast<std::uint32_t>(even >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(even)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// Where a random number stands: the run's seed, what it is for, and which one it is.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  std::uint64_t index = 0;
};

/// 128 random bits.
constexpr std::array<std::uint32_t, 4> random_bits(RandomKey key) {
  return philox4x32(
      {static_cast<std::uint32_t>(key.index), static_cast<std::uint32_t>(key.index >> 32),
       static_cast<std::uint32_t>(key.stream), static_cast<std::uint32_t>(key.stream >> 32)},
      {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)});
}

/// 64 random bits.
constexpr std::uint64_t random_uint64(RandomKey key) {
  const auto bits = random_bits(key);
  return std::uint64_t{bits[1]} << 32 | bits[0];
}

/// Uniform in [0, 1), a multiple of 2^-24.
constexpr float random_uniform(RandomKey key) {
  return static_cast<float>(random_bits(key)[0] >> 8) * 0x1p-24f;
}

/// Uniform in [0, 1), a multiple of 2^-53.
constexpr double random_uniform_double(RandomKey key) {
  return static_cast<double>(random_uint64(key) >> 11) * 0x1p-53;
}

/// Uniform in [0, bound) for bound > 0; the bias is below bound / 2^64.
constexpr std::uint64_t random_below(RandomKey key, std::uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(random_uint64(key)) * bound >> 64);
}

/// Standard normal (Box-Muller over 53-bit uniforms).
double random_normal(RandomKey key);

/// Draws one after another from one (seed, stream), for code that is naturally sequential. The
/// whole state is `next_index`.
struct RandomStream {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  std::uint64_t next_index = 0;

  float uniform() { return random_uniform(next()); }
  double uniform_double() { return random_uniform_double(next()); }
  std::uint64_t below(std::uint64_t bound) { return random_below(next(), bound); }
  double normal() { return random_normal(next()); }

 private:
  RandomKey next() { return {seed, stream, next_index++}; }
};

}  // namespace tigerbot
