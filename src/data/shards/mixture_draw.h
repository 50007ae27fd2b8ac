#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tigerbot::data {

/// Which source the next document comes from: drawn at random, but from what each source still
/// lacks of its share, so that the shares are reached after a few hundred thousand tokens and kept,
/// where independent draws would wander off by the square root of their number. In whole numbers,
/// so that every machine draws the same.
class MixtureDraw {
 public:
  /// `weights` are positive, in any unit. `urn` is how many tokens the shares are mixed over.
  MixtureDraw(std::span<const double> weights, std::uint64_t urn, std::uint64_t seed);

  /// The source of draw number `draw`; `taken` has the tokens that came from each source so far.
  std::size_t operator()(std::uint64_t draw, std::span<const std::uint64_t> taken) const;

  /// Share of a source, between 0 and 1.
  double share(std::size_t source) const;

 private:
  std::vector<std::uint64_t> shares_;  // in 2^-32
  std::uint64_t urn_, seed_;
};

}  // namespace tigerbot::data
