// Usage and unevenness: the checks that the layers' definitions ask for.

#include "UsageMetrics.h"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

using namespace peer::runtime;

TEST(UsageMetricsTest, UniformMassIsEven) {
  for (size_t experts : {1, 7, 65536}) {
    UsageMetrics metrics = computeUsageMetrics(std::vector<float>(experts, 0.3f));
    EXPECT_EQ(metrics.usage, 1.0);
    EXPECT_NEAR(metrics.unevenness, 0.0, 1e-11);
  }
}

TEST(UsageMetricsTest, OneExpertGivesLnN) {
  std::vector<float> mass(4096);
  mass[17] = 123.0f;
  UsageMetrics metrics = computeUsageMetrics(mass);
  EXPECT_EQ(metrics.usage, 1.0 / 4096);
  EXPECT_NEAR(metrics.unevenness, std::log(4096.0), 1e-12);
}

TEST(UsageMetricsTest, HalfOfTheExpertsGivesLn2WhateverTheScale) {
  for (float scale : {1e-20f, 1.0f, 1e20f}) {
    std::vector<float> mass(100);
    for (size_t i = 0; i < 50; ++i)
      mass[2 * i] = scale;
    UsageMetrics metrics = computeUsageMetrics(mass);
    EXPECT_EQ(metrics.usage, 0.5);
    EXPECT_NEAR(metrics.unevenness, std::log(2.0), 1e-9);
  }
}

TEST(UsageMetricsTest, NothingUsedIsDefined) {
  for (const std::vector<float> &mass : {std::vector<float>(), std::vector<float>(8), std::vector<float>{NAN, -1.0f}}) {
    UsageMetrics metrics = computeUsageMetrics(mass);
    EXPECT_EQ(metrics.usage, 0.0);
    EXPECT_EQ(metrics.unevenness, 0.0);
  }
}
