#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace tigerbot {
namespace {

using Block = std::array<std::uint32_t, 4>;

// kat_vectors of the Random123 library, "philox4x32 10".
TEST(Philox, MatchesThePublishedVectors) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, EveryPartOfTheKeyMatters) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t bit = 0; bit < 64; ++bit) {
    const std::uint64_t value = std::uint64_t{1} << bit;
    seen.insert(random_uint64({value, 0, 0}));
    seen.insert(random_uint64({0, value, 0}));
    seen.insert(random_uint64({0, 0, value}));
  }
  EXPECT_EQ(seen.size(), 192u);
}

TEST(Random, UniformHasTheRightMomentsAndStaysBelowOne) {
  double sum = 0, squares = 0;
  constexpr int kCount = 200000;
  for (int k = 0; k < kCount; ++k) {
    const float u = random_uniform({1, 2, static_cast<std::uint64_t>(k)});
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    sum += u;
    squares += double{u} * u;
  }
  EXPECT_NEAR(sum / kCount, 0.5, 0.003);
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 0.003);
}

TEST(Random, NormalHasTheRightMoments) {
  double sum = 0, squares = 0, fourths = 0;
  constexpr int kCount = 200000;
  for (int k = 0; k < kCount; ++k) {
    const double x = random_normal({7, 0, static_cast<std::uint64_t>(k)});
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.01);
  EXPECT_NEAR(squares / kCount, 1, 0.015);
  EXPECT_NEAR(fourths / kCount, 3, 0.12);
}

TEST(Random, BelowIsUniformAndNeverReachesTheBound) {
  std::vector<int> counts(7);
  for (std::uint64_t k = 0; k < 70000; ++k) {
    const std::uint64_t value = random_below({3, 4, k}, 7);
    ASSERT_LT(value, 7u);
    ++counts[value];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);
  EXPECT_EQ(random_below({3, 4, 5}, 1), 0u);
  EXPECT_LT(random_below({3, 4, 5}, UINT64_MAX), UINT64_MAX);
}

TEST(RandomStream, IsTheSameNumbersByIndex) {
  RandomStream stream{.seed = 9, .stream = 8};
  for (std::uint64_t k = 0; k < 10; ++k) EXPECT_EQ(stream.uniform(), random_uniform({9, 8, k}));
  EXPECT_EQ(stream.next_index, 10u);
}

}  // namespace
}  // namespace tigerbot
