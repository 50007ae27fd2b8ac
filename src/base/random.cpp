#include "base/random.h"

#include <cmath>
#include <numbers>

namespace tigerbot {

double random_normal(RandomKey key) {
  const auto bits = random_bits(key);
  const std::uint64_t a = std::uint64_t{bits[1]} << 32 | bits[0];
  const std::uint64_t b = std::uint64_t{bits[3]} << 32 | bits[2];
  // (0, 1], so that the logarithm is finite.
  const double radius_uniform = (static_cast<double>(a >> 11) + 1) * 0x1p-53;
  const double angle_uniform = static_cast<double>(b >> 11) * 0x1p-53;
  return std::sqrt(-2 * std::log(radius_uniform)) * std::cos(2 * std::numbers::pi * angle_uniform);
}

}  // namespace tigerbot
