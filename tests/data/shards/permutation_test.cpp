#include "data/shards/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "data/shards/mixture_draw.h"

namespace tigerbot::data {
namespace {

std::vector<std::uint64_t> all_of(const Permutation& permutation) {
  std::vector<std::uint64_t> order(permutation.size());
  for (std::uint64_t k = 0; k < order.size(); ++k) order[k] = permutation(k);
  return order;
}

TEST(Permutation, IsABijectionOfEverySize) {
  for (std::uint64_t size = 1; size < 300; ++size) {
    for (std::uint64_t epoch : {0, 1}) {
      std::vector<std::uint64_t> order = all_of(Permutation(size, 3, epoch));
      std::sort(order.begin(), order.end());
      std::vector<std::uint64_t> expected(size);
      std::iota(expected.begin(), expected.end(), 0u);
      ASSERT_EQ(order, expected) << size;
    }
  }
  std::vector<std::uint64_t> order = all_of(Permutation(1'000'003, 1, 0));
  std::sort(order.begin(), order.end());
  for (std::uint64_t k = 0; k < order.size(); ++k) ASSERT_EQ(order[k], k);
}

TEST(Permutation, ReachesEveryPlaceEquallyOften) {
  // Which of 10 elements comes first, over 20,000 seeds: chi-square with 9 degrees of freedom stays
  // below 27.9 in 999 of 1000 cases; the seeds are fixed.
  for (const std::uint64_t position : {0, 4, 9}) {
    std::vector<double> counts(10);
    for (std::uint64_t seed = 0; seed < 20000; ++seed) ++counts[Permutation(10, seed, 0)(position)];
    double chi_square = 0;
    for (const double count : counts) chi_square += (count - 2000) * (count - 2000) / 2000;
    EXPECT_LT(chi_square, 27.9) << position;
  }
}

TEST(Permutation, NeighboursDoNotStayTogether) {
  const Permutation permutation(1 << 16, 5, 0);
  double sum = 0;
  int adjacent = 0;
  for (std::uint64_t k = 0; k + 1 < permutation.size(); ++k) {
    const auto a = static_cast<double>(permutation(k)), b = static_cast<double>(permutation(k + 1));
    sum += std::abs(a - b);
    adjacent += std::abs(a - b) == 1 ? 1 : 0;
  }
  // The mean distance of two random elements is a third of the size; two of them are neighbours.
  EXPECT_NEAR(sum / (1 << 16), (1 << 16) / 3.0, 300);
  EXPECT_LT(adjacent, 12);
}

TEST(Permutation, EpochsDiffer) {
  EXPECT_NE(all_of(Permutation(100, 1, 0)), all_of(Permutation(100, 1, 1)));
  EXPECT_NE(all_of(Permutation(100, 1, 0)), all_of(Permutation(100, 2, 0)));
}

TEST(Permutation, HandlesABillionWithoutAList) {
  const Permutation permutation(1'000'000'007, 9, 2);
  for (std::uint64_t k = 0; k < 1000; ++k)
    EXPECT_LT(permutation(k * 1'000'003 % permutation.size()), permutation.size());
  EXPECT_LE(sizeof permutation, 128u);
}

TEST(MixtureDraw, ReachesItsSharesAndKeepsThem) {
  const std::vector<double> weights{6, 3, 0.9, 0.1};
  const MixtureDraw draw(weights, 32 * 2048, 1);
  std::vector<std::uint64_t> taken(4);
  std::uint64_t total = 0;
  for (std::uint64_t k = 0; k < 200000; ++k) {
    const std::size_t source = draw(k, taken);
    const std::uint64_t length = 100 + k * 7919 % 1900;
    taken[source] += length;
    total += length;
    if (k < 1000 || k % 1000 != 0) continue;
    for (std::size_t s = 0; s < 4; ++s)
      ASSERT_NEAR(static_cast<double>(taken[s]), weights[s] / 10 * static_cast<double>(total),
                  32 * 2048 + 2000)
          << k;
  }
}

TEST(MixtureDraw, MixesSourcesRatherThanTakingTurns) {
  const std::vector<double> weights{1, 1};
  const MixtureDraw draw(weights, 32 * 100, 4);
  std::vector<std::uint64_t> taken(2);
  std::size_t last = 0, changes = 0;
  for (std::uint64_t k = 0; k < 10000; ++k) {
    const std::size_t source = draw(k, taken);
    taken[source] += 100;
    changes += source != last ? 1 : 0;
    last = source;
  }
  EXPECT_GT(changes, 4000u);
  EXPECT_LT(changes, 7000u);
}

TEST(MixtureDraw, ATinyShareIsNotForgotten) {
  const std::vector<double> weights{1, 1e-12};
  const MixtureDraw draw(weights, 1000, 4);
  EXPECT_GT(draw.share(1), 0);
  EXPECT_NEAR(draw.share(0) + draw.share(1), 1, 1e-12);
}

}  // namespace
}  // namespace tigerbot::data
