// mix and its token pass on GPUs: every regime of T, widths beside what warps and accesses take, rows that several warps share.
#include "MixOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

class GpuMix : public MixOp {};

/// What holds of mix with f32 rows and of quantized_mix.
class GpuMixOf : public GpuMix, public ::testing::WithParamInterface<const char *> {
protected:
  void open(MixLayer of) {
    of.element = GetParam();
    GpuMix::open(of);
  }
};
INSTANTIATE_TEST_SUITE_P(, GpuMixOf, ::testing::Values("f32", "i8"), [](const auto &info) { return info.param; });

TEST_P(GpuMixOf, EveryRegime) {
  open({.heads = 1, .selected = 3, .width = 16});
  for (int64_t tokens : {1, 2, 63, 64, 65, 2047, 2048, 2051})
    check(tokens);
}

TEST_P(GpuMixOf, PartsOfATokenInOrder) {
  // 70 rows: shares beside multiples of 32 and of the rows under way at once, the last block without any.
  open({.heads = 2, .selected = 35, .width = 12});
  for (int64_t tokens : {1, 5, 40, 70})
    check(tokens);
}

TEST_P(GpuMixOf, GatedNeuronsOfSeveralRows) {
  open({.heads = 2, .selected = 2, .width = 40, .vectors = 3, .rows = 3, .activation = "silu"});
  for (int64_t tokens : {2, 65, 2049})
    check(tokens, 3e-5);
}

TEST_P(GpuMixOf, Values) {
  open({.heads = 1, .selected = 5, .width = 20, .vectors = 1, .rows = 2});
  for (int64_t tokens : {3, 65, 2049})
    check(tokens);
}

TEST_P(GpuMixOf, OddWidthOfOneWarp) {
  open({.heads = 1, .selected = 3, .width = 999});
  check(2, 5e-5);
  check(64, 5e-5);
}

TEST_P(GpuMixOf, SharedGatedRowsOfOddWidth) {
  open({.heads = 1, .selected = 3, .width = 4100, .vectors = 3, .rows = 2, .activation = "silu", .experts = 3});
  check(3, 5e-4);
}

TEST_P(GpuMixOf, NothingSelected) {
  open({.heads = 2, .selected = 3, .width = 24});
  for (int64_t tokens : {1, 64, 2048})
    checkNothingSelected(tokens);
}

TEST_P(GpuMixOf, SameOnEveryRun) {
  open({.heads = 2, .selected = 9, .width = 100, .activation = "silu"});
  for (int64_t tokens : {5, 70})
    checkSameTwice(tokens);
}

/// Widths around what a warp takes in one access, and those that no wide access fits; of i8 rows 1, 2, 4, 8 or 16 bytes per lane.
class GpuMixWidths : public GpuMix, public ::testing::WithParamInterface<std::tuple<int, const char *>> {};

TEST_P(GpuMixWidths, FewAndSomeTokens) {
  auto [width, element] = GetParam();
  bool bytes = std::string(element) == "i8";
  open({.heads = 1, .selected = 6, .width = width, .activation = bytes ? "relu" : "gelu", .element = element});
  check(3, 3e-5);
  check(65, 3e-5);
}

constexpr auto kWidthName = [](const auto &info) {
  return std::string(std::get<1>(info.param)) + "x" + std::to_string(std::get<0>(info.param));
};
INSTANTIATE_TEST_SUITE_P(, GpuMixWidths,
                         ::testing::Combine(::testing::Values(1, 5, 17, 33, 100, 128, 256, 264, 300),
                                            ::testing::Values("f32", "bf16")),
                         kWidthName);
INSTANTIATE_TEST_SUITE_P(Quantized, GpuMixWidths,
                         ::testing::Combine(::testing::Values(1, 5, 17, 33, 34, 100, 128, 256, 264, 272, 300, 512, 528),
                                            ::testing::Values("i8")),
                         kWidthName);

/// bf16 and i8 rows of the widths that layers have: one warp's, and several warps'.
class GpuMixOfWideRows : public GpuMixOf {};
INSTANTIATE_TEST_SUITE_P(, GpuMixOfWideRows, ::testing::Values("bf16", "i8"),
                         [](const auto &info) { return info.param; });

TEST_P(GpuMixOfWideRows, WidthOfOneWarp) {
  open({.heads = 1, .selected = 3, .width = 1024});
  check(2, 5e-5);
  check(65, 5e-5);
}

TEST_P(GpuMixOfWideRows, SharedRows) {
  open({.heads = 1, .selected = 5, .width = 2048});
  check(2, 1e-4);
  check(65, 1e-4);
}

TEST_F(GpuMix, ReluOfBF16) {
  open({.heads = 1, .selected = 7, .width = 64, .activation = "relu", .element = "bf16"});
  for (int64_t tokens : {3, 65})
    check(tokens);
}

TEST_F(GpuMix, RowsOfThreeWarps) {
  open({.heads = 1, .selected = 3, .width = 1300});
  check(2, 1e-4);
}

TEST_F(GpuMix, SharedRowsOfManyTokens) {
  // mix_grad shares, mix does not.
  open({.heads = 1, .selected = 2, .width = 520, .vectors = 3});
  check(2048, 1e-4);
}

TEST_P(GpuMixOf, NeverTouchesRowsNobodySelected) {
  open({.heads = 1, .selected = 40, .width = 33});
  Array &first = quantized() ? scales : pool;
  std::fill_n(first.values.begin(), quantized() ? 2 : 66, NAN);
  Array idx({3, 1, 40});
  for (size_t i = 0; i < idx.values.size(); ++i)
    idx.values[i] = i % 3 == 0 ? static_cast<double>(1 + i % 8) : -1;
  check(random({3, 33}, 1), idx, random(idx.shape, 3), random({3, 33}, 5), 1e-5);
}

TEST_F(GpuMix, InfinityStaysInItsColumn) {
  // The last column of 33 is alone in its access: lanes beyond the row must not make not-a-number of it.
  open({.heads = 1, .selected = 1, .width = 33});
  pool.values[65] = INFINITY;
  Array idx({1, 1, 1}), w({1, 1, 1}), x = random({1, 33}, 1), dy({1, 33});
  w.values = {1};
  x.values[32] = 0.5;
  Array y = mix(x, idx, w, pool, Activation::Gelu, 1);
  ASSERT_TRUE(std::isinf(y.values[32]));
  EXPECT_TRUE(compiled->agrees(call(x, idx, w, dy), "y", y.shape, y.values, 1e-5));
}

TEST_F(GpuMix, EveryByteIsExact) {
  // One value per row, weight and scale 1: what comes out is the byte.
  open({.heads = 1, .selected = 1, .width = 256, .vectors = 1, .element = "i8", .experts = 1});
  for (size_t i = 0; i < 256; ++i)
    pool.values[i] = static_cast<double>(i) - 128;
  scales.values[0] = 1;
  Array idx({1, 1, 1}), w({1, 1, 1}), x = random({1, 256}, 1);
  w.values[0] = 1;
  check(x, idx, w, x, 0);
}

} // namespace
} // namespace peer::numerics
