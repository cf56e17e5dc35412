// f16 and bf16: conversion, arithmetic alone and in pairs, against rounding from double.

#include "sim/exec/Half.h"
#include "SimTestSupport.h"

#include <algorithm>
#include <cmath>

namespace peer::runtime::sim::test {
namespace {
using U = uint64_t;

TEST(Half, EveryValueSurvivesWidening) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    auto half = static_cast<uint16_t>(bits);
    float wide = halfToFloat(half), brain = bfloatToFloat(half);
    if (!std::isnan(wide)) {
      EXPECT_EQ(floatToHalf(wide), half);
      EXPECT_EQ(wide, static_cast<float>(static_cast<_Float16>(wide)));
    }
    if (!std::isnan(brain)) {
      EXPECT_EQ(floatToBfloat(brain), half);
    }
  }
}

TEST(Half, FastAndGeneralRoundingAgree) {
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 4093) {
    float value = floatOf(bits);
    ASSERT_EQ(floatToHalf(value), roundTo(kHalf, Rounding::NearestEven, value)) << bits;
    ASSERT_EQ(floatToBfloat(value), roundTo(kBfloat, Rounding::NearestEven, value)) << bits;
    if (!std::isnan(value)) {
      ASSERT_EQ(bits, roundTo(kSingle, Rounding::NearestEven, double{value}));
    }
  }
}

U half(double v) { return roundTo(kHalf, Rounding::NearestEven, v); }
U brain(double v) { return roundTo(kBfloat, Rounding::NearestEven, v); }
double h(U v) { return halfToFloat(static_cast<uint16_t>(v)); }
double g(U v) { return bfloatToFloat(static_cast<uint16_t>(v)); }
template <typename F>
U both(U a, U b, F f) {
  return f(a & 0xffff, b & 0xffff) | f(a >> 16, b >> 16) << 16;
}

class Halves : public testing::TestWithParam<Case> {};
TEST_P(Halves, AgreesWithReference) { check(GetParam()); }

const Case kCases[] = {
    {"cvt.f32.f16 %d, %a;", 4, {2}, [](U a, U, U) { return bitsOf(static_cast<float>(h(a))); }},
    {"cvt.f32.bf16 %d, %a;", 4, {2}, [](U a, U, U) { return bitsOf(static_cast<float>(g(a))); }},
    {"cvt.rn.f16.f32 %d, %a;", 2, {4}, [](U a, U, U) { return half(floatOf(a)); }},
    {"cvt.rz.f16.f32 %d, %a;", 2, {4}, [](U a, U, U) { return roundTo(kHalf, Rounding::Zero, floatOf(a)); }},
    {"cvt.rn.bf16.f32 %d, %a;", 2, {4}, [](U a, U, U) { return brain(floatOf(a)); }},
    {"cvt.rn.relu.bf16.f32 %d, %a;",
     2,
     {4},
     [](U a, U, U) { return floatOf(a) < 0 ? 0 : brain(floatOf(a) == 0 ? 0.0f : floatOf(a)); }},
    {"cvt.rn.f16.s32 %d, %a;", 2, {4}, [](U a, U, U) { return half(static_cast<int32_t>(a)); }},
    {"cvt.rzi.s32.f16 %d, %a;",
     4,
     {2},
     [](U a, U, U) {
       return std::isnan(h(a)) ? 0 : static_cast<U>(static_cast<int64_t>(std::clamp(h(a), -0x1p31, 0x1p31 - 1)));
     }},
    {"cvt.rn.bf16x2.f32 %d, %a, %b;",
     4,
     {4, 4},
     [](U a, U b, U) { return brain(floatOf(a)) << 16 | brain(floatOf(b)); }},
    {"cvt.rn.f16x2.f32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return half(floatOf(a)) << 16 | half(floatOf(b)); }},
    {"add.rn.f16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return half(h(a) + h(b)); }},
    {"sub.f16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return half(h(a) - h(b)); }},
    {"mul.rn.bf16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return brain(g(a) * g(b)); }},
    {"add.rn.f16x2 %d, %a, %b;",
     4,
     {4, 4},
     [](U a, U b, U) { return both(a, b, [](U x, U y) { return half(h(x) + h(y)); }); }},
    {"mul.f16x2 %d, %a, %b;",
     4,
     {4, 4},
     [](U a, U b, U) { return both(a, b, [](U x, U y) { return half(h(x) * h(y)); }); }},
    {"add.rn.bf16x2 %d, %a, %b;",
     4,
     {4, 4},
     [](U a, U b, U) { return both(a, b, [](U x, U y) { return brain(static_cast<float>(g(x) + g(y))); }); }},
    {"sub.rn.bf16x2 %d, %a, %b;",
     4,
     {4, 4},
     [](U a, U b, U) { return both(a, b, [](U x, U y) { return brain(static_cast<float>(g(x) - g(y))); }); }},
    {"fma.rn.f16 %d, %a, %b, %c;", 2, {2, 2, 2}, [](U a, U b, U c) { return half(addToOdd(h(a) * h(b), h(c))); }},
    {"fma.rn.bf16 %d, %a, %b, %c;", 2, {2, 2, 2}, [](U a, U b, U c) { return brain(addToOdd(g(a) * g(b), g(c))); }},
    {"fma.rn.relu.f16 %d, %a, %b, %c;",
     2,
     {2, 2, 2},
     [](U a, U b, U c) {
       U r = half(addToOdd(h(a) * h(b), h(c)));
       return h(r) < 0 ? 0 : r;
     }},
    {"neg.bf16 %d, %a;", 2, {2}, [](U a, U, U) { return a ^ 0x8000; }},
    {"abs.f16x2 %d, %a;", 4, {4}, [](U a, U, U) { return a & 0x7fff7fff; }},
    {"max.f16 %d, %a, %b;",
     2,
     {2, 2},
     [](U a, U b, U) {
       return std::isnan(h(a))   ? (std::isnan(h(b)) ? 0x7fff : b)
              : std::isnan(h(b)) ? a
              : h(a) == h(b)     ? (a & b)
              : h(a) > h(b)      ? a
                                 : b;
     }},
    {"min.NaN.bf16 %d, %a, %b;",
     2,
     {2, 2},
     [](U a, U b, U) {
       return std::isunordered(g(a), g(b)) ? 0x7fff : g(a) == g(b) ? (a | b) : g(a) < g(b) ? a : b;
     }},
    {"setp.lt.f16 %pd, %a, %b;", 0, {2, 2}, [](U a, U b, U) { return U{h(a) < h(b)}; }},
    {"setp.gt.bf16x2 %q1|%pd, %a, %b;", 0, {4, 4}, [](U a, U b, U) { return U{g(a >> 16) > g(b >> 16)}; }},
    {"ex2.approx.f16 %d, %a;", 2, {2}, [](U a, U, U) { return half(std::exp2(h(a))); }},
    {"tanh.approx.bf16x2 %d, %a;",
     4,
     {4},
     [](U a, U, U) { return brain(std::tanh(g(a & 0xffff))) | brain(std::tanh(g(a >> 16))) << 16; }},
};
INSTANTIATE_TEST_SUITE_P(All, Halves, testing::ValuesIn(kCases));
} // namespace
} // namespace peer::runtime::sim::test
