#pragma once

#include <cstdint>
#include <vector>

namespace tigerbot::train {

/// First-fit decreasing (Johnson 1973): the longest example first, each into the first group that
/// has room. At most 11/9 of the fewest groups possible, plus one. Returns the examples of each
/// group; examples of equal length keep their order. No length may exceed `capacity`.
std::vector<std::vector<std::int64_t>> first_fit_decreasing(
    const std::vector<std::int64_t>& lengths, std::int64_t capacity);

/// 0 to count - 1 in an order that seed and epoch choose.
std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::uint64_t stream);

}  // namespace tigerbot::train
