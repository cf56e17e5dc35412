// Pairs sorted by expert, and what is built on it, on GPUs: one block alone, several blocks, one and several passes over digits.
#include "RoutingOpTest.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace peer::numerics {
namespace {

using namespace reference;

struct GpuSort : RoutingOpTest {
  /// One head and one selection, so that `order` counts tokens and can be returned where their number is dynamic.
  void checkSort(const Array &experts, int64_t count) {
    int64_t total = experts.shape[0];
    Input idx{"idx", experts, true, "i32"};
    const std::vector<double> &keys = experts.values;
    std::vector<int64_t> pairs;
    for (int64_t pair = 0; pair < total; ++pair)
      if (keys[pair] >= 0)
        pairs.push_back(pair);
    std::stable_sort(pairs.begin(), pairs.end(), [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
    Array order({total}), starts({total}), sizes({2});
    std::fill(order.values.begin(), order.values.end(), NAN);
    std::fill(starts.values.begin(), starts.values.end(), NAN);
    for (size_t i = 0; i < pairs.size(); ++i) {
      order.values[i] = static_cast<double>(pairs[i]);
      if (i == 0 || keys[pairs[i]] != keys[pairs[i - 1]])
        starts.values[static_cast<size_t>(sizes.values[0]++)] = static_cast<double>(i);
    }
    sizes.values[1] = static_cast<double>(pairs.size());
    check({idx}, "  %o, %s, %c = peer.sort_pairs %idx experts " + std::to_string(count) + " : " + type(idx),
          {{"%c", sizes, false, "i32"}, {"%o", order, true, "i32"}, {"%s", starts, true, "i32"}});
  }
  void checkRandom(int64_t pairs, int64_t experts, bool none = true) {
    checkSort(randomExperts({pairs, 1, 1}, experts, static_cast<uint64_t>(pairs), none), experts);
  }

  /// mass += weights by expert; the same on every run.
  void checkUsage(const Array &experts, int64_t count) {
    Input idx{"idx", experts, true, "i32"}, weights{"w", random(experts.shape, 2), true},
        mass{"mass", random({count}, 3)};
    check({idx, weights, mass},
          "  %u = peer.usage %idx, %w, %mass : " + type(idx) + ", " + type(weights) + ", " + type(mass),
          {{"%u", usage(idx.array, weights.array, mass.array), false, "f32", 1e-5}});
  }
};

TEST_P(GpuSort, OnePair) { checkRandom(1, 1, false); }
TEST_P(GpuSort, OneExpert) { checkRandom(70, 1); }
TEST_P(GpuSort, OnePass) {
  for (int64_t pairs : {31, 32, 33, 257})
    checkRandom(pairs, 256);
}
TEST_P(GpuSort, TwoPasses) { checkRandom(1000, 257); }
TEST_P(GpuSort, ThreePasses) { checkRandom(3000, 1 << 20); }
TEST_P(GpuSort, FullBlock) { checkRandom(4096, 4096, false); }
TEST_P(GpuSort, OneMoreThanABlock) { checkRandom(4097, 4096, false); }
TEST_P(GpuSort, ManyPairsInOnePass) { checkRandom(7000, 100); }
TEST_P(GpuSort, ManyPairsInTwoPasses) { checkRandom(6144, 60000); }
TEST_P(GpuSort, ManyPairsInThreePasses) { checkRandom(9001, 1 << 20); }
TEST_P(GpuSort, ManyPairsOfOneExpert) {
  Array experts({5000, 1, 1});
  std::fill(experts.values.begin(), experts.values.end(), (1 << 20) - 1);
  checkSort(experts, 1 << 20);
}
TEST_P(GpuSort, NothingSelected) {
  for (int64_t pairs : {40, 4200}) {
    Array experts({pairs, 1, 1});
    std::fill(experts.values.begin(), experts.values.end(), -1);
    checkSort(experts, 300);
  }
}
TEST_P(GpuSort, FewSelectedAmongMany) {
  Array experts({8192, 1, 1});
  std::fill(experts.values.begin(), experts.values.end(), -1);
  experts.values[8191] = 3, experts.values[17] = 70000, experts.values[4096] = 3;
  checkSort(experts, 1 << 17);
}
// The last pair of one block's tile and the first of the next belong to one expert, or do not.
TEST_P(GpuSort, SegmentsAtTheBordersOfTiles) {
  Array experts({6144, 1, 1});
  for (size_t i = 0; i < experts.values.size(); ++i)
    experts.values[i] = i < 2048 ? 5 : i < 4100 ? 6 : 7;
  checkSort(experts, 9);
}

TEST_P(GpuSort, Usage) { checkUsage(randomExperts({300, 2, 3}, 5000, 1), 5000); }
TEST_P(GpuSort, UsageOfManyPairs) { checkUsage(randomExperts({900, 2, 3}, 70000, 1), 70000); }
TEST_P(GpuSort, UsageOfFewExperts) { checkUsage(randomExperts({400, 2, 3}, 3, 1), 3); }
TEST_P(GpuSort, UsageAtTheLimitOfOneThread) {
  Array experts({200, 1, 1});
  for (size_t i = 0; i < 200; ++i)
    experts.values[i] = i < 64 ? 1 : i < 129 ? 2 : 9;
  checkUsage(experts, 10);
}
TEST_P(GpuSort, UsageKeepsInfinities) {
  Input idx{"idx", Array({4, 1, 1}), true, "i32"}, weights{"w", Array({4, 1, 1}), true}, mass{"mass", Array({3})};
  idx.array.values = {2, 0, 1, 2};
  weights.array.values = {INFINITY, 1, NAN, 1};
  Array expected({3});
  expected.values = {1, NAN, INFINITY};
  check({idx, weights, mass},
        "  %u = peer.usage %idx, %w, %mass : " + type(idx) + ", " + type(weights) + ", " + type(mass),
        {{"%u", expected}});
}

INSTANTIATE_TEST_SUITE_P(, GpuSort, ::testing::Combine(::testing::Values(Code::Gpu), ::testing::Bool()),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
