#include "train/schedule.h"

#include <gtest/gtest.h>

#include "train/step_guard.h"

namespace tigerbot::train {
namespace {

Schedule of(ScheduleKind kind) {
  Schedule schedule;
  schedule.kind = kind;
  schedule.learning_rate = 2e-4;
  schedule.final_learning_rate = 2e-5;
  schedule.warmup_steps = 10;
  schedule.total_steps = 110;
  schedule.decay_fraction = 0.2;
  return schedule;
}

TEST(Schedule, WarmsUpInAStraightLine) {
  for (const auto kind : {ScheduleKind::kConstant, ScheduleKind::kCosine, ScheduleKind::kWsd}) {
    EXPECT_DOUBLE_EQ(learning_rate(of(kind), 1), 2e-5);
    EXPECT_DOUBLE_EQ(learning_rate(of(kind), 5), 1e-4);
    EXPECT_DOUBLE_EQ(learning_rate(of(kind), 10), 2e-4);
  }
}

TEST(Schedule, CosineGoesFromPeakToFinal) {
  const Schedule schedule = of(ScheduleKind::kCosine);
  EXPECT_NEAR(learning_rate(schedule, 60), 1.1e-4, 1e-12);
  EXPECT_NEAR(learning_rate(schedule, 110), 2e-5, 1e-12);
  EXPECT_NEAR(learning_rate(schedule, 200), 2e-5, 1e-12);
}

TEST(Schedule, ConstantStays) {
  EXPECT_DOUBLE_EQ(learning_rate(of(ScheduleKind::kConstant), 110), 2e-4);
}

TEST(Schedule, WsdFallsAtTheEndAlone) {
  const Schedule schedule = of(ScheduleKind::kWsd);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 88), 2e-4);
  EXPECT_NEAR(learning_rate(schedule, 99), 1.1e-4, 1e-12);
  EXPECT_NEAR(learning_rate(schedule, 110), 2e-5, 1e-12);
}

TEST(StepGuard, SkipsWhatIsNotFinite) {
  StepGuard guard(10, 2);
  EXPECT_EQ(guard.judge(1, 1), StepGuard::Verdict::kGood);
  EXPECT_EQ(guard.judge(NAN, 1), StepGuard::Verdict::kNotFinite);
  EXPECT_EQ(guard.judge(1, INFINITY), StepGuard::Verdict::kNotFinite);
  EXPECT_FALSE(guard.too_many());
  guard.judge(NAN, 1);
  EXPECT_TRUE(guard.too_many());
  guard.judge(1, 1);
  EXPECT_FALSE(guard.too_many());
  EXPECT_EQ(guard.skipped(), 3);
}

TEST(StepGuard, SkipsExplosionsOnceItKnowsWhatIsUsual) {
  StepGuard guard(10, 2);
  EXPECT_EQ(guard.judge(1, 500), StepGuard::Verdict::kGood);
  for (int i = 0; i < 200; ++i) guard.judge(1, 1);
  EXPECT_EQ(guard.judge(1, 9), StepGuard::Verdict::kGood);
  EXPECT_EQ(guard.judge(1, 100), StepGuard::Verdict::kExploding);
  StepGuard other(10, 2);
  other.restore(guard.state());
  EXPECT_EQ(other.judge(1, 100), StepGuard::Verdict::kExploding);
  EXPECT_EQ(other.skipped_in_a_row(), 2);
}

}  // namespace
}  // namespace tigerbot::train
