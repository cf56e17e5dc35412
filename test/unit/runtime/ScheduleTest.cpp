// Learning-rate schedules.

#include "lm/Schedule.h"

#include <gtest/gtest.h>

using namespace peer::runtime;

TEST(ScheduleTest, WarmsUpToThePeakAndFallsToATenth) {
  for (ScheduleKind kind : {ScheduleKind::Linear, ScheduleKind::Cosine}) {
    Schedule schedule{kind, 10, 110};
    EXPECT_DOUBLE_EQ(schedule.factor(1), 0.1);
    EXPECT_DOUBLE_EQ(schedule.factor(10), 1.0);
    EXPECT_NEAR(schedule.factor(60), 0.55, 1e-12); // both are half way down in the middle
    EXPECT_NEAR(schedule.factor(110), Schedule::kFloor, 1e-12);
    EXPECT_NEAR(schedule.factor(500), Schedule::kFloor, 1e-12);
  }
  EXPECT_GT((Schedule{ScheduleKind::Cosine, 10, 110}.factor(30)), (Schedule{ScheduleKind::Linear, 10, 110}.factor(30)));
}

TEST(ScheduleTest, StartsAtThePeakWithoutWarmUp) {
  for (ScheduleKind kind : {ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine})
    EXPECT_DOUBLE_EQ((Schedule{kind, 0, 100}.factor(1)), 1.0);
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::Constant, 0, 100}.factor(100)), 1.0);
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::Cosine, 0, 1}.factor(1)), 1.0);
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::Cosine, 50, 10}.factor(10)), 0.2); // the run ends within its warm-up
}

TEST(ScheduleTest, FallsWithTheTimeThatIsOver) {
  Schedule schedule{ScheduleKind::Cosine, 10, 0};
  EXPECT_DOUBLE_EQ(schedule.factorAt(5, 0.5), 0.5); // warm-up counts steps
  EXPECT_DOUBLE_EQ(schedule.factorAt(10, 0), 1.0);
  EXPECT_NEAR(schedule.factorAt(20, 0.5), 0.55, 1e-12);
  EXPECT_NEAR(schedule.factorAt(30, 1.2), Schedule::kFloor, 1e-12);
}

TEST(ScheduleTest, NamesRoundTrip) {
  for (ScheduleKind kind : {ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine})
    EXPECT_EQ(parseScheduleKind(toString(kind)), kind);
  EXPECT_FALSE(parseScheduleKind("Cosine").has_value());
}
