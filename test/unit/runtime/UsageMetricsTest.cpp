// Usage and unevenness: the checks that the layers' definitions ask for.

#include "lm/UsageMetrics.h"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

using namespace peer::runtime;

TEST(UsageMetricsTest, UniformMassIsEven) {
  for (size_t experts : {1, 7, 65536}) {
    UsageMetrics metrics = computeUsageMetrics(std::vector<double>(experts, 0.3));
    EXPECT_EQ(metrics.usage, 1.0);
    EXPECT_NEAR(metrics.unevenness, 0.0, 1e-11);
  }
}

TEST(UsageMetricsTest, OneExpertGivesLnN) {
  std::vector<double> mass(4096);
  mass[17] = 123.0;
  UsageMetrics metrics = computeUsageMetrics(mass);
  EXPECT_EQ(metrics.usage, 1.0 / 4096);
  EXPECT_NEAR(metrics.unevenness, std::log(4096.0), 1e-12);
}

TEST(UsageMetricsTest, HalfOfTheExpertsGivesLn2WhateverTheScale) {
  for (double scale : {1e-20, 1.0, 1e20}) {
    std::vector<double> mass(100);
    for (size_t i = 0; i < 50; ++i)
      mass[2 * i] = scale;
    UsageMetrics metrics = computeUsageMetrics(mass);
    EXPECT_EQ(metrics.usage, 0.5);
    EXPECT_NEAR(metrics.unevenness, std::log(2.0), 1e-9);
  }
}

TEST(UsageMetricsTest, NothingUsedIsDefined) {
  for (const std::vector<double> &mass :
       {std::vector<double>(), std::vector<double>(8), std::vector<double>{NAN, -1.0}}) {
    UsageMetrics metrics = computeUsageMetrics(mass);
    EXPECT_EQ(metrics.usage, 0.0);
    EXPECT_EQ(metrics.unevenness, 0.0);
  }
}

// More tokens than an f32 can count one by one.
TEST(UsageMetricsTest, CountsBeyondThoseOfF32) {
  UsageMetrics metrics = computeUsageMetrics(std::vector<double>{16777217, 1});
  EXPECT_EQ(metrics.usage, 1.0);
  double p = 16777217.0 / 16777218.0, q = 1.0 / 16777218.0;
  EXPECT_NEAR(metrics.unevenness, std::log(2.0) + p * std::log(p) + q * std::log(q), 1e-14);
}
