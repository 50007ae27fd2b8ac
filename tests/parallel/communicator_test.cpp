#include "parallel/communicator.h"

#include <gtest/gtest.h>

namespace tigerbot {
namespace {

TEST(SoloCommunicator, IsAGroupOfOne) {
  const auto solo = make_solo_communicator();
  EXPECT_EQ(solo->rank(), 0);
  EXPECT_EQ(solo->size(), 1);
  std::uint64_t values[] = {3, 5};
  solo->all_reduce_sum(values);
  EXPECT_EQ(values[0], 3u);
  EXPECT_EQ(values[1], 5u);
  EXPECT_EQ(solo->all_gather("abc"), std::vector<std::string>{"abc"});
}

}  // namespace
}  // namespace tigerbot
