// Of times that were measured: the middle, and what a share lies below.
#include "session/Bench.h"

#include <gtest/gtest.h>

namespace peer::runtime {
namespace {

TEST(Bench, Quantiles) {
  EXPECT_EQ(quantile({}, 0.5), 0);
  EXPECT_EQ(quantile({7}, 0.25), 7);
  EXPECT_EQ(quantile({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(quantile({4, 1, 2, 3}, 0.5), 2.5);
  EXPECT_EQ(quantile({4, 1, 2, 3}, 0), 1);
  EXPECT_EQ(quantile({4, 1, 2, 3}, 0.25), 1.75);
  EXPECT_EQ(quantile({4, 1, 2, 3}, 1), 4);
}

} // namespace
} // namespace peer::runtime
