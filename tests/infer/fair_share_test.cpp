#include "infer/fair_share.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tigerbot {
namespace {

TEST(FairShare, CountsWhatEachClientHad) {
  FairShare share;
  share.enter("a");
  share.enter("b");
  share.charge("a", 10);
  share.charge("b", 3);
  EXPECT_EQ(share.served("a"), 10);
  EXPECT_EQ(share.served("b"), 3);
}

TEST(FairShare, WhoComesLateBeginsLevelWithTheLeastServed) {
  FairShare share;
  share.enter("a");
  share.enter("b");
  share.charge("a", 100);
  share.charge("b", 70);
  share.enter("c");
  EXPECT_EQ(share.served("c"), 70);
}

TEST(FairShare, GoingAwayClearsNoDebtAndSavesNothingUp) {
  FairShare share;
  share.enter("a");
  share.enter("b");
  share.charge("a", 100);
  share.charge("b", 20);
  share.leave("a");
  share.enter("a");
  EXPECT_EQ(share.served("a"), 100);
  share.leave("b");
  share.charge("a", 50);
  share.enter("b");
  EXPECT_EQ(share.served("b"), 150);
  EXPECT_THROW(share.leave("nobody"), Error);
}

}  // namespace
}  // namespace tigerbot
