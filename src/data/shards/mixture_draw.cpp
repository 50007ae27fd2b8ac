#include "data/shards/mixture_draw.h"

#include <algorithm>
#include <numeric>

#include "base/random.h"

namespace tigerbot::data {
namespace {

constexpr double kWhole = 4294967296.0;
constexpr std::uint64_t kStream = 0x6D6978;  // apart from the streams of the permutations

}  // namespace

MixtureDraw::MixtureDraw(std::span<const double> weights, std::uint64_t urn, std::uint64_t seed)
    : urn_(urn), seed_(seed) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (const double weight : weights)
    shares_.push_back(
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(weight / total * kWhole)));
  // The largest takes what rounding left, so that the shares are a whole.
  const auto largest = std::max_element(shares_.begin(), shares_.end());
  *largest +=
      (std::uint64_t{1} << 32) - std::accumulate(shares_.begin(), shares_.end(), std::uint64_t{0});
}

double MixtureDraw::share(std::size_t source) const {
  return static_cast<double>(shares_[source]) / kWhole;
}

std::size_t MixtureDraw::operator()(std::uint64_t draw,
                                    std::span<const std::uint64_t> taken) const {
  __extension__ using Wide = unsigned __int128;
  if (shares_.size() == 1) return 0;
  const Wide goal = std::accumulate(taken.begin(), taken.end(), urn_);
  // What the source should have had once the urn is empty, less what it had: never all zero.
  const auto lacks = [&](std::size_t source) {
    const auto due = static_cast<std::uint64_t>(goal * shares_[source] >> 32);
    return due > taken[source] ? due - taken[source] : 0;
  };
  std::uint64_t total = 0;
  for (std::size_t source = 0; source < shares_.size(); ++source) total += lacks(source);
  if (total == 0) return draw % shares_.size();
  std::uint64_t at = random_below({seed_, kStream, draw}, total);
  std::size_t source = 0;
  for (; at >= lacks(source); ++source) at -= lacks(source);
  return source;
}

}  // namespace tigerbot::data
