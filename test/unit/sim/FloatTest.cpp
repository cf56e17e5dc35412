// f32 and f64 arithmetic, comparison and conversion against C++.

#include "SimTestSupport.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace peer::runtime::sim::test {
namespace {
using U = uint64_t;
float f(U v) { return floatOf(v); }
double d(U v) { return doubleOf(v); }
U b(float v) { return bitsOf(v); }
U b(double v) { return bitsOf(v); }
float flush(float v) { return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0f, v) : v; }
float saturate(float v) { return v > 0 ? std::min(v, 1.0f) : 0.0f; }

class Floats : public testing::TestWithParam<Case> {};
TEST_P(Floats, AgreesWithReference) { check(GetParam()); }

const Case kArithmetic[] = {
    {"add.rn.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return b(f(x) + f(y)); }},
    {"add.f32 %d, %a, 0f3F800000;", 4, {4}, [](U x, U, U) { return b(f(x) + 1.0f); }},
    {"add.ftz.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return b(flush(flush(f(x)) + flush(f(y)))); }},
    {"add.sat.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return b(saturate(f(x) + f(y))); }},
    {"sub.rn.f64 %d, %a, %b;", 8, {8, 8}, [](U x, U y, U) { return b(d(x) - d(y)); }},
    {"mul.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return b(f(x) * f(y)); }},
    {"mul.f64 %d, %a, 0d4000000000000000;", 8, {8}, [](U x, U, U) { return b(d(x) * 2); }},
    {"fma.rn.f32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U x, U y, U z) { return b(std::fma(f(x), f(y), f(z))); }},
    {"fma.rn.ftz.f32 %d, %a, %b, %c;",
     4,
     {4, 4, 4},
     [](U x, U y, U z) { return b(flush(std::fma(flush(f(x)), flush(f(y)), flush(f(z))))); }},
    {"fma.rn.f64 %d, %a, %b, %c;", 8, {8, 8, 8}, [](U x, U y, U z) { return b(std::fma(d(x), d(y), d(z))); }},
    {"mad.rn.f32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U x, U y, U z) { return b(std::fma(f(x), f(y), f(z))); }},
    {"div.rn.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return b(f(x) / f(y)); }},
    {"div.full.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return b(f(x) / f(y)); }},
    {"div.approx.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return b(f(x) / f(y)); }},
    {"div.rn.f64 %d, %a, %b;", 8, {8, 8}, [](U x, U y, U) { return b(d(x) / d(y)); }},
    {"neg.f32 %d, %a;", 4, {4}, [](U x, U, U) { return x ^ 0x80000000u; }},
    {"abs.f64 %d, %a;", 8, {8}, [](U x, U, U) { return b(std::fabs(d(x))); }},
    {"max.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return f(x) == f(y) ? (x & y) : b(std::fmax(f(x), f(y))); }},
    {"min.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return f(x) == f(y) ? (x | y) : b(std::fmin(f(x), f(y))); }},
    {"max.NaN.f32 %d, %a, %b;",
     4,
     {4, 4},
     [](U x, U y, U) {
       return std::isunordered(f(x), f(y)) ? U{0x7fffffff} : f(x) == f(y) ? (x & y) : b(std::fmax(f(x), f(y)));
     }},
    {"copysign.f32 %d, %a, %b;", 4, {4, 4}, [](U x, U y, U) { return b(std::copysign(f(y), f(x))); }},
    {"testp.notanumber.f32 %pd, %a;", 0, {4}, [](U x, U, U) { return U{std::isnan(f(x))}; }},
};
INSTANTIATE_TEST_SUITE_P(Arithmetic, Floats, testing::ValuesIn(kArithmetic));

float rounded(double exact, int direction) {
  auto nearest = static_cast<float>(exact);
  if (nearest == exact || std::isnan(exact))
    return nearest;
  if (direction < 0)
    return nearest > exact ? std::nextafterf(nearest, -INFINITY) : nearest;
  return nearest < exact ? std::nextafterf(nearest, INFINITY) : nearest;
}
const Case kMath[] = {
    {"sqrt.rn.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(std::sqrt(f(x))); }},
    {"sqrt.approx.ftz.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(std::sqrt(flush(f(x)))); }},
    {"sqrt.rn.f64 %d, %a;", 8, {8}, [](U x, U, U) { return b(std::sqrt(d(x))); }},
    {"rcp.rn.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(1.0f / f(x)); }},
    {"rcp.approx.ftz.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(flush(1.0f / flush(f(x)))); }},
    {"rcp.rm.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(rounded(1.0 / f(x), -1)); }},
    {"rcp.rn.f64 %d, %a;", 8, {8}, [](U x, U, U) { return b(1.0 / d(x)); }},
    {"rsqrt.approx.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(static_cast<float>(1 / std::sqrt(double{f(x)}))); }},
    {"ex2.approx.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(static_cast<float>(std::exp2(double{f(x)}))); }},
    {"ex2.approx.ftz.f32 %d, %a;",
     4,
     {4},
     [](U x, U, U) { return b(flush(static_cast<float>(std::exp2(double{flush(f(x))})))); }},
    {"lg2.approx.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(static_cast<float>(std::log2(double{f(x)}))); }},
    {"sin.approx.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(static_cast<float>(std::sin(double{f(x)}))); }},
    {"cos.approx.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(static_cast<float>(std::cos(double{f(x)}))); }},
    {"tanh.approx.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(static_cast<float>(std::tanh(double{f(x)}))); }},
};
INSTANTIATE_TEST_SUITE_P(Math, Floats, testing::ValuesIn(kMath));

const Case kComparisons[] = {
    {"setp.lt.f32 %pd, %a, %b;", 0, {4, 4}, [](U x, U y, U) { return U{f(x) < f(y)}; }},
    {"setp.ne.f32 %pd, %a, %b;",
     0,
     {4, 4},
     [](U x, U y, U) { return U{!std::isunordered(f(x), f(y)) && f(x) != f(y)}; }},
    {"setp.neu.f32 %pd, %a, %b;", 0, {4, 4}, [](U x, U y, U) { return U{f(x) != f(y)}; }},
    {"setp.equ.f32 %pd, %a, %b;", 0, {4, 4}, [](U x, U y, U) { return U{!(f(x) < f(y)) && !(f(x) > f(y))}; }},
    {"setp.geu.f64 %pd, %a, %b;", 0, {8, 8}, [](U x, U y, U) { return U{!(d(x) < d(y))}; }},
    {"setp.leu.f32 %pd, %a, %b;", 0, {4, 4}, [](U x, U y, U) { return U{!(f(x) > f(y))}; }},
    {"setp.ltu.f32 %pd, %a, %b;", 0, {4, 4}, [](U x, U y, U) { return U{!(f(x) >= f(y))}; }},
    {"setp.gtu.f32 %pd, %a, %b;", 0, {4, 4}, [](U x, U y, U) { return U{!(f(x) <= f(y))}; }},
    {"setp.num.f32 %pd, %a, %b;", 0, {4, 4}, [](U x, U y, U) { return U{!std::isunordered(f(x), f(y))}; }},
    {"setp.nan.f32 %pd, %a, %b;", 0, {4, 4}, [](U x, U y, U) { return U{std::isunordered(f(x), f(y))}; }},
    {"setp.eq.ftz.f32 %pd, %a, 0f00000000;", 0, {4}, [](U x, U, U) { return U{flush(f(x)) == 0}; }},
};
INSTANTIATE_TEST_SUITE_P(Comparisons, Floats, testing::ValuesIn(kComparisons));

template <typename T>
U toInteger(double v) {
  if (std::isnan(v))
    return 0;
  double least = static_cast<double>(std::numeric_limits<T>::min()),
         most = std::ldexp(1.0, std::numeric_limits<T>::digits);
  return static_cast<U>(v >= most   ? std::numeric_limits<T>::max()
                        : v < least ? std::numeric_limits<T>::min()
                                    : static_cast<T>(v));
}
const Case kConversions[] = {
    {"cvt.rzi.s32.f32 %d, %a;", 4, {4}, [](U x, U, U) { return toInteger<int32_t>(std::trunc(double{f(x)})); }},
    {"cvt.rni.s32.f32 %d, %a;", 4, {4}, [](U x, U, U) { return toInteger<int32_t>(std::nearbyint(double{f(x)})); }},
    {"cvt.rmi.u32.f32 %d, %a;", 4, {4}, [](U x, U, U) { return toInteger<uint32_t>(std::floor(double{f(x)})); }},
    {"cvt.rpi.s64.f64 %d, %a;", 8, {8}, [](U x, U, U) { return toInteger<int64_t>(std::ceil(d(x))); }},
    {"cvt.rzi.u64.f32 %d, %a;", 8, {4}, [](U x, U, U) { return toInteger<uint64_t>(std::trunc(double{f(x)})); }},
    {"cvt.rn.f32.s32 %d, %a;", 4, {4}, [](U x, U, U) { return b(static_cast<float>(static_cast<int32_t>(x))); }},
    {"cvt.rn.f32.u64 %d, %a;", 4, {8}, [](U x, U, U) { return b(static_cast<float>(x)); }},
    {"cvt.rm.f32.s32 %d, %a;", 4, {4}, [](U x, U, U) { return b(rounded(static_cast<int32_t>(x), -1)); }},
    {"cvt.rn.f64.s64 %d, %a;", 8, {8}, [](U x, U, U) { return b(static_cast<double>(static_cast<int64_t>(x))); }},
    {"cvt.f64.f32 %d, %a;", 8, {4}, [](U x, U, U) { return b(double{f(x)}); }},
    {"cvt.rn.f32.f64 %d, %a;", 4, {8}, [](U x, U, U) { return b(static_cast<float>(d(x))); }},
    {"cvt.rp.f32.f64 %d, %a;", 4, {8}, [](U x, U, U) { return b(rounded(d(x), 1)); }},
    {"cvt.rmi.f32.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(std::floor(f(x))); }},
    {"cvt.sat.f32.f32 %d, %a;", 4, {4}, [](U x, U, U) { return b(saturate(f(x))); }},
    {"cvt.s64.s32 %d, %a;", 8, {4}, [](U x, U, U) { return static_cast<U>(int64_t{static_cast<int32_t>(x)}); }},
    {"cvt.u64.u32 %d, %a;", 8, {4}, [](U x, U, U) { return x; }},
    {"cvt.u32.u64 %d, %a;", 4, {8}, [](U x, U, U) { return x; }},
    {"cvt.s32.s8 %d, %a;", 4, {4}, [](U x, U, U) { return static_cast<U>(int64_t{static_cast<int8_t>(x)}); }},
    {"cvt.u16.u8 %d, %a;", 2, {2}, [](U x, U, U) { return x & 255; }},
    {"cvt.sat.s8.s32 %d, %a;",
     2,
     {4},
     [](U x, U, U) { return static_cast<U>(int64_t{std::clamp(static_cast<int32_t>(x), -128, 127)}); }},
    {"cvt.sat.u16.s32 %d, %a;",
     2,
     {4},
     [](U x, U, U) { return static_cast<U>(std::clamp(static_cast<int32_t>(x), 0, 65535)); }},
    {"cvt.rna.tf32.f32 %d, %a;",
     4,
     {4},
     [](U x, U, U) {
       return std::isnan(f(x)) ? U{0x7fffe000} : ((x & 0x7fffffff) >= 0x7f800000 ? x : (x + 0x1000) & ~U{0x1fff});
     }},
};
INSTANTIATE_TEST_SUITE_P(Conversions, Floats, testing::ValuesIn(kConversions));

TEST(FloatRounding, DirectedModesBracketTheExactSum) {
  for (auto [mode, direction] : {std::pair{"rm", -1}, std::pair{"rp", 1}})
    checkOn({std::string("add.") + mode + ".f32 %d, %a, %b;",
             4,
             {4, 4},
             [direction = direction](U x, U y, U) { return b(rounded(double{f(x)} + f(y), direction)); }},
            {{b(1.0f), b(1e-7f), 0}, {b(-1.0f), b(1e-8f), 0}, {b(3.0f), b(0.1f), 0}, {b(16777216.0f), b(1.0f), 0}});
}
} // namespace
} // namespace peer::runtime::sim::test
