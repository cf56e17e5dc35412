// Pairs sorted by expert, and what is built on it, on GPUs: grouped by one block, or sorted by several in one and several passes over digits.
#include "RoutingOpTest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr int64_t kMostGrouped = 4096, kManyExperts = 1 << 20;

struct GpuSort : RoutingOpTest {
  /// One head and one selection, so that `order` counts tokens and can be returned where their number is dynamic. Segments
  /// are in the order of their first pairs if one block groups them, else in that of their experts.
  void checkSort(const Array &experts, int64_t count) {
    int64_t total = experts.shape[0];
    Input idx{"idx", experts, true, "i32"};
    std::map<double, std::vector<int64_t>> byExpert, bySegment;
    for (int64_t pair = 0; pair < total; ++pair)
      if (experts.values[pair] >= 0)
        byExpert[experts.values[pair]].push_back(pair);
    for (const auto &[expert, pairs] : byExpert)
      bySegment[total <= kMostGrouped ? static_cast<double>(pairs[0]) : expert] = pairs;
    Array order({total}), starts({total}), sizes({2});
    std::fill(order.values.begin(), order.values.end(), NAN);
    std::fill(starts.values.begin(), starts.values.end(), NAN);
    double &segments = sizes.values[0], &sorted = sizes.values[1];
    for (const auto &[unused, pairs] : bySegment) {
      starts.values[static_cast<size_t>(segments++)] = sorted;
      for (int64_t pair : pairs)
        order.values[static_cast<size_t>(sorted++)] = static_cast<double>(pair);
    }
    check({idx}, "  %o, %s, %c = peer.sort_pairs %idx experts " + std::to_string(count) + " : " + type(idx),
          {{"%c", sizes, false, "i32"}, {"%o", order, true, "i32"}, {"%s", starts, true, "i32"}});
  }
  /// Pair i has expert of(i).
  template <typename Of>
  void checkPairs(int64_t pairs, int64_t experts, Of of) {
    Array idx({pairs, 1, 1});
    for (int64_t i = 0; i < pairs; ++i)
      idx.values[i] = static_cast<double>(of(i));
    checkSort(idx, experts);
  }
  void checkRandom(int64_t pairs, int64_t experts, bool none = true) {
    checkSort(randomExperts({pairs, 1, 1}, experts, static_cast<uint64_t>(pairs), none), experts);
  }

  /// mass += weights by expert; the same on every run.
  void checkUsage(const Array &experts, int64_t count) {
    for (std::string element : {"f32", "f64"}) {
      Input idx{"idx", experts, true, "i32"}, weights{"w", random(experts.shape, 2), true},
          mass{"mass", random({count}, 3), false, element};
      check({idx, weights, mass},
            "  %u = peer.usage %idx, %w, %mass : " + type(idx) + ", " + type(weights) + ", " + type(mass),
            {{"%u", usage(idx.array, weights.array, mass.array), false, element, 1e-5}});
    }
  }
};

TEST_P(GpuSort, OnePair) {
  checkRandom(1, 1, false);
  checkPairs(1, kManyExperts, [](int64_t) { return kManyExperts - 1; });
}
TEST_P(GpuSort, OneExpert) { checkRandom(70, 1); }
// An expert's number is its slot.
TEST_P(GpuSort, AsManySlotsAsExperts) {
  for (int64_t pairs : {31, 32, 33, 257})
    checkRandom(pairs, 256);
  checkRandom(4096, 8192);
}
TEST_P(GpuSort, OneMoreExpertThanSlots) { checkRandom(4096, 8193); }
TEST_P(GpuSort, FewPairsOfManyExperts) {
  for (int64_t pairs : {31, 129, 600, 3000})
    checkRandom(pairs, kManyExperts);
}
TEST_P(GpuSort, AllExpertsThereAre) { checkRandom(300, std::numeric_limits<int32_t>::max()); }
TEST_P(GpuSort, FullBlock) { checkRandom(4096, 4096, false); }
TEST_P(GpuSort, FullBlockOfManyExperts) { checkRandom(4096, kManyExperts); }
TEST_P(GpuSort, OneMoreThanABlock) { checkRandom(4097, 4096, false); }
TEST_P(GpuSort, OneMoreThanABlockOfManyExperts) { checkRandom(4097, kManyExperts); }
TEST_P(GpuSort, AllPairsDifferent) {
  checkPairs(4096, kManyExperts, [](int64_t i) { return (i * 7919 + 5) % kManyExperts; });
}
// Each of few experts is in every batch of a warp.
TEST_P(GpuSort, EveryBatchHasEveryExpert) {
  checkPairs(4096, kManyExperts, [](int64_t i) { return i % 32 * 3001; });
}
TEST_P(GpuSort, EveryChunkHasEveryExpert) {
  checkPairs(4000, kManyExperts, [](int64_t i) { return i % 501 * 2003; });
}
TEST_P(GpuSort, PairsOfTwo) {
  checkPairs(4096, kManyExperts, [](int64_t i) { return i % 2048 * 511; });
}
TEST_P(GpuSort, OneExpertAmongMany) {
  checkPairs(4096, kManyExperts, [](int64_t i) { return i % 3 ? 77 : i * 101; });
}
// All experts of which the hash is the last of 8192 slots, and so of any fewer: the probes of all but one go on at slot 0.
TEST_P(GpuSort, OneSlotForAllExperts) {
  std::vector<int64_t> same;
  for (uint32_t expert = 0; expert < kManyExperts; ++expert)
    if (expert * 0x9E3779B1u >> 19 == 8191)
      same.push_back(expert);
  ASSERT_GT(same.size(), 100u);
  for (int64_t pairs : {700, 4096})
    checkPairs(pairs, kManyExperts, [&](int64_t i) { return same[i * 37 % same.size()]; });
}
TEST_P(GpuSort, ManyPairsInOnePass) { checkRandom(7000, 100); }
TEST_P(GpuSort, ManyPairsInTwoPasses) { checkRandom(6144, 60000); }
TEST_P(GpuSort, ManyPairsInThreePasses) { checkRandom(9001, 1 << 20); }
TEST_P(GpuSort, AllPairsOfOneExpert) {
  for (int64_t pairs : {600, 4096, 5000})
    checkPairs(pairs, kManyExperts, [](int64_t) { return kManyExperts - 1; });
}
TEST_P(GpuSort, NothingSelected) {
  for (int64_t pairs : {40, 4096, 4200})
    for (int64_t experts : {int64_t(300), kManyExperts})
      checkPairs(pairs, experts, [](int64_t) { return -1; });
}
TEST_P(GpuSort, FewSelectedAmongMany) {
  for (int64_t pairs : {4096, 8192})
    checkPairs(pairs, 1 << 17, [&](int64_t i) {
      return i == pairs - 1 ? 3 : i == 17 ? 70000 : i == pairs / 2 ? 3 : -1;
    });
}
// The last pair of one block's tile and the first of the next belong to one expert, or do not.
TEST_P(GpuSort, SegmentsAtTheBordersOfTiles) {
  checkPairs(6144, 9, [](int64_t i) { return i < 2048 ? 5 : i < 4100 ? 6 : 7; });
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
