// A machine that is a formula: what a call takes with some values, and a clock that measurements move.
#include "lowering/autotune/Search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

using namespace peer;

namespace {
/// The first two share the kernel "mix", the third has one of its own.
constexpr TuningParameter kTile{"mix.tile", "", 16, {4, 8, 16, 32, 64}, {"mix"}, 64};
constexpr TuningParameter kAhead{"mix.ahead", "", 4, {1, 2, 4, 8}, {"mix"}, 8};
constexpr TuningParameter kColumns{"linear.columns", "", 512, {256, 512, 1024}, {"linear"}, 1024};

/// 1 where a value is best, 10 % more for each time it is doubled or halved from there.
double distance(double value, double best) { return 1 + 0.1 * std::abs(std::log2(value / best)); }

struct Machine {
  double bestTile = 16, bestAhead = 4, bestColumns = 512;
  /// Noise of a round that all candidates have alike, and of each alone.
  double commonNoise = 0, noise = 0;
  double secondsOfMeasurement = 1;
  bool fails = false;
  /// Of whole calls: what is not in kernels, and what tiles other than 16 cost elsewhere.
  double rest = 0, hidden = 0;

  double clock = 0;
  int measurements = 0;
  std::vector<std::string> about;
  unsigned state = 1;

  double random() {
    state = state * 1664525u + 1013904223u;
    return double(state >> 8) / double(1u << 24) - 0.5;
  }

  std::optional<std::vector<TurnTimes>> measure(const std::vector<TuningValues> &candidates,
                                                const TuningParameter *parameter) {
    clock += secondsOfMeasurement;
    ++measurements;
    about.push_back(parameter ? std::string(parameter->name) : "all");
    if (fails)
      return std::nullopt;
    std::vector<TurnTimes> times(candidates.size());
    for (int round = 0; round < 15; ++round) {
      double slow = 1 + commonNoise * random();
      for (size_t i = 0; i < candidates.size(); ++i) {
        double tile = double(valueOf(candidates[i], kTile));
        double mix = 100 * distance(tile, bestTile) * distance(double(valueOf(candidates[i], kAhead)), bestAhead);
        double linear = 100 * distance(double(valueOf(candidates[i], kColumns)), bestColumns);
        double factor = slow * (1 + noise * random());
        times[i].kernels.push_back(factor * (!parameter || parameter->kernels[0] == "mix" ? mix : linear));
        times[i].calls.push_back(factor * (mix + linear + rest + (tile == 16 ? 0 : hidden)));
      }
    }
    return times;
  }

  std::optional<SearchResult> search(double deadline = 1e9) {
    SearchOptions options{{&kTile, &kAhead, &kColumns}, [this] { return clock; }, deadline, {}};
    return searchTuning(options, [this](const auto &candidates, const TuningParameter *parameter) {
      return measure(candidates, parameter);
    });
  }
};
} // namespace

TEST(Search, EveryParameterTriesItsOwnValue) {
  for (const TuningParameter *parameter : kTuningParameters) {
    auto end = std::find(parameter->tried.begin(), parameter->tried.end(), 0);
    EXPECT_NE(std::find(parameter->tried.begin(), end, parameter->value), end) << parameter->name;
    EXPECT_TRUE(std::is_sorted(parameter->tried.begin(), end)) << parameter->name;
    EXPECT_GE(parameter->most, *std::max_element(parameter->tried.begin(), end)) << parameter->name;
    EXPECT_FALSE(parameter->kernels[0].empty()) << parameter->name;
  }
}

TEST(Search, DefaultsStayWhereTheyAreBest) {
  Machine machine;
  auto result = machine.search();
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->values.empty());
  EXPECT_TRUE(result->isComplete);
  EXPECT_EQ(machine.measurements, 3);
  ASSERT_EQ(result->tried.size(), 3u);
  EXPECT_EQ(result->tried[0].name, "mix.tile");
  EXPECT_EQ(result->tried[0].chosen, 16);
}

TEST(Search, FollowsADirectionToItsEnd) {
  Machine machine;
  machine.bestTile = 64;
  machine.bestAhead = 1;
  machine.bestColumns = 1024;
  auto result = machine.search();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->values, (TuningValues{{"mix.tile", 64}, {"mix.ahead", 1}, {"linear.columns", 1024}}));
  EXPECT_NEAR(result->tried[0].ratio, 1 / 1.2, 1e-9);
  EXPECT_NEAR(result->ratio, 200 / (100 * 1.2 * 1.2 + 110), 1e-9);
  EXPECT_EQ(machine.about.back(), "all");
}

TEST(Search, OnlyParametersOfKernelsThatMovedAreTriedAgain) {
  Machine machine;
  machine.bestAhead = 8;
  ASSERT_TRUE(machine.search());
  // The tile again after the distance has moved, and once more would find nothing new.
  EXPECT_EQ(machine.about, (std::vector<std::string>{"mix.tile", "mix.ahead", "linear.columns", "mix.tile", "all"}));
}

TEST(Search, NoiseThatAllHaveAlikeHidesNothing) {
  Machine machine;
  machine.commonNoise = 1.5;
  machine.bestTile = 32;
  auto result = machine.search();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->values, (TuningValues{{"mix.tile", 32}}));
}

TEST(Search, ChanceIsNoGain) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    Machine machine;
    machine.state = seed;
    machine.noise = 0.1;
    auto result = machine.search();
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->values.empty()) << seed;
  }
}

TEST(Search, WhatGainsNothingTogetherIsLeft) {
  Machine machine;
  machine.bestTile = 32;
  machine.hidden = 50;
  auto result = machine.search();
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->isRefuted);
  EXPECT_TRUE(result->values.empty());
  EXPECT_GT(result->ratio, 1);
  EXPECT_EQ(result->tried[0].chosen, 16);
}

TEST(Search, StopsWhenTimeIsUp) {
  Machine machine;
  machine.bestTile = 64;
  auto result = machine.search(1.5);
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->isComplete);
  // Two measurements began in time; the last one says what came of them.
  EXPECT_EQ(machine.about, (std::vector<std::string>{"mix.tile", "mix.tile", "all"}));
  EXPECT_EQ(result->values, (TuningValues{{"mix.tile", 64}}));
}

TEST(Search, NothingIsMeasuredAfterTheDeadline) {
  Machine machine;
  machine.clock = 10;
  auto result = machine.search(10);
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->isComplete);
  EXPECT_TRUE(result->tried.empty());
  EXPECT_EQ(machine.measurements, 0);
}

TEST(Search, FailsWhereAMeasurementDoes) {
  Machine machine;
  machine.fails = true;
  EXPECT_FALSE(machine.search());
  EXPECT_EQ(machine.measurements, 1);
}

TEST(Search, ComparesTimesOfOneRound) {
  Verdict verdict = compareTimes({100, 200, 300, 400}, {90, 180, 270, 360});
  EXPECT_NEAR(verdict.ratio, 0.9, 1e-9);
  EXPECT_TRUE(verdict.isFaster);
  EXPECT_FALSE(compareTimes({100, 100, 100, 100}, {99, 99, 99, 99}).isFaster);
  EXPECT_FALSE(compareTimes({100, 100, 100, 100}, {90, 90, 110, 110}).isFaster);
  EXPECT_FALSE(compareTimes({}, {}).isFaster);
}
