// Integer arithmetic, logic and bit fields against C++.

#include "SimTestSupport.h"

#include <algorithm>
#include <bit>
#include <gtest/gtest-spi.h>

namespace peer::runtime::sim::test {
namespace {
using U = uint64_t;
int32_t s(U v) { return static_cast<int32_t>(v); }
uint32_t u(U v) { return static_cast<uint32_t>(v); }
int16_t h(U v) { return static_cast<int16_t>(v); }
int64_t l(U v) { return static_cast<int64_t>(v); }
U w(int64_t v) { return static_cast<U>(v); }
__extension__ using Wide = __int128;

class Integer : public testing::TestWithParam<Case> {};
TEST_P(Integer, AgreesWithReference) { check(GetParam()); }

const Case kArithmetic[] = {
    {"add.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return a + b; }},
    {"add.u16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return a + b; }},
    {"add.s64 %d, %a, %b;", 8, {8, 8}, [](U a, U b, U) { return a + b; }},
    {"add.sat.s32 %d, %a, %b;",
     4,
     {4, 4},
     [](U a, U b, U) { return w(std::clamp<int64_t>(int64_t{s(a)} + s(b), INT32_MIN, INT32_MAX)); }},
    {"sub.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return a - b; }},
    {"sub.sat.s32 %d, %a, %b;",
     4,
     {4, 4},
     [](U a, U b, U) { return w(std::clamp<int64_t>(int64_t{s(a)} - s(b), INT32_MIN, INT32_MAX)); }},
    {"sub.u64 %d, %a, 5;", 8, {8}, [](U a, U, U) { return a - 5; }},
    {"mul.lo.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return a * b; }},
    {"mul.lo.u16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return a * b; }},
    {"mul.lo.s64 %d, %a, %b;", 8, {8, 8}, [](U a, U b, U) { return a * b; }},
    {"mul.hi.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return w((int64_t{s(a)} * s(b)) >> 32); }},
    {"mul.hi.u32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return (a * b) >> 32; }},
    {"mul.hi.s16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return w((h(a) * h(b)) >> 16); }},
    {"mul.hi.u64 %d, %a, %b;",
     8,
     {8, 8},
     [](U a, U b, U) { return static_cast<U>((static_cast<unsigned __int128>(a) * b) >> 64); }},
    {"mul.hi.s64 %d, %a, %b;",
     8,
     {8, 8},
     [](U a, U b, U) { return static_cast<U>((static_cast<Wide>(l(a)) * l(b)) >> 64); }},
    {"mul.wide.s32 %d, %a, %b;", 8, {4, 4}, [](U a, U b, U) { return w(int64_t{s(a)} * s(b)); }},
    {"mul.wide.u32 %d, %a, %b;", 8, {4, 4}, [](U a, U b, U) { return a * b; }},
    {"mul.wide.s16 %d, %a, %b;", 4, {2, 2}, [](U a, U b, U) { return w(h(a) * h(b)); }},
    {"mul.wide.u16 %d, %a, %b;", 4, {2, 2}, [](U a, U b, U) { return a * b; }},
    {"mad.lo.s32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return a * b + c; }},
    {"mad.hi.u32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return ((a * b) >> 32) + c; }},
    {"mad.wide.s32 %d, %a, %b, %c;", 8, {4, 4, 8}, [](U a, U b, U c) { return w(int64_t{s(a)} * s(b)) + c; }},
    {"mad.wide.u16 %d, %a, %b, %c;", 4, {2, 2, 4}, [](U a, U b, U c) { return a * b + c; }},
    {"div.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return b ? w(int64_t{s(a)} / s(b)) : ~U{0}; }},
    {"div.u64 %d, %a, %b;", 8, {8, 8}, [](U a, U b, U) { return b ? a / b : ~U{0}; }},
    {"div.u16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return b ? a / b : ~U{0}; }},
    {"rem.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return b ? w(int64_t{s(a)} % s(b)) : a; }},
    {"rem.u32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return b ? a % b : a; }},
    {"abs.s32 %d, %a;", 4, {4}, [](U a, U, U) { return w(std::abs(int64_t{s(a)})); }},
    {"neg.s64 %d, %a;", 8, {8}, [](U a, U, U) { return 0 - a; }},
    {"neg.s16 %d, %a;", 2, {2}, [](U a, U, U) { return 0 - a; }},
    {"min.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return w(std::min(s(a), s(b))); }},
    {"max.u32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return std::max(a, b); }},
    {"max.s64 %d, %a, %b;", 8, {8, 8}, [](U a, U b, U) { return w(std::max(l(a), l(b))); }},
    {"min.s16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return w(std::min(h(a), h(b))); }},
    {"sad.s32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return w(std::abs(int64_t{s(a)} - s(b))) + c; }},
    {"add.cc.u32 %r1, %a, %b;\naddc.u32 %d, %b, %c;",
     4,
     {4, 4, 4},
     [](U a, U b, U c) { return b + c + ((a + b) >> 32); }},
    {"sub.cc.s64 %x5, %a, %b;\nsubc.cc.s64 %x6, 0, 0;\nsubc.s64 %d, %c, 0;",
     8,
     {8, 8, 8},
     [](U a, U b, U c) { return c - U{a < b}; }},
    {"mad.lo.cc.u32 %r1, %a, %b, %c;\nmadc.hi.u32 %d, %a, %b, 0;",
     4,
     {4, 4, 4},
     [](U a, U b, U c) { return (a * b + c) >> 32; }},
};
INSTANTIATE_TEST_SUITE_P(Arithmetic, Integer, testing::ValuesIn(kArithmetic));

uint32_t reversed(uint32_t v) {
  uint32_t r = 0;
  for (int i = 0; i < 32; ++i)
    r |= (v >> i & 1) << (31 - i);
  return r;
}
uint32_t field(uint32_t v, U position, U length, bool sign) {
  position &= 255;
  length &= 255;
  uint32_t r = 0, fill = length && sign ? v >> std::min<U>(position + length - 1, 31) & 1 : 0;
  for (U i = 0; i < 32; ++i)
    r |= (i < length && position + i < 32 ? v >> (position + i) & 1 : fill) << i;
  return r;
}
U inserted(U a, U b, U position, U length) {
  for (U i = 0; i < (length & 255) && (position & 255) + i < 32; ++i) {
    U bit = U{1} << ((position & 255) + i);
    b = (b & ~bit) | (a >> i & 1 ? bit : 0);
  }
  return b;
}
U permuted(U a, U b, U c) {
  U bytes = b << 32 | a, r = 0;
  for (int i = 0; i < 4; ++i) {
    U pick = c >> (4 * i) & 15, byte = bytes >> (8 * (pick & 7)) & 255;
    r |= (pick & 8 ? (byte & 128 ? 255 : 0) : byte) << (8 * i);
  }
  return r;
}

const Case kBits[] = {
    {"and.b32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return a & b; }},
    {"or.b64 %d, %a, %b;", 8, {8, 8}, [](U a, U b, U) { return a | b; }},
    {"xor.b16 %d, %a, %b;", 2, {2, 2}, [](U a, U b, U) { return a ^ b; }},
    {"not.b32 %d, %a;", 4, {4}, [](U a, U, U) { return ~a; }},
    {"cnot.b32 %d, %a;", 4, {4}, [](U a, U, U) { return U{a == 0}; }},
    {"shl.b32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return b > 31 ? 0 : a << b; }},
    {"shl.b64 %d, %a, %b;", 8, {8, 4}, [](U a, U b, U) { return b > 63 ? 0 : a << b; }},
    {"shl.b16 %d, %a, 3;", 2, {2}, [](U a, U, U) { return a << 3; }},
    {"shr.u32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return b > 31 ? 0 : a >> b; }},
    {"shr.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return w(s(a) >> std::min<U>(b, 31)); }},
    {"shr.s64 %d, %a, %b;", 8, {8, 4}, [](U a, U b, U) { return w(l(a) >> std::min<U>(b, 63)); }},
    {"shr.s16 %d, %a, %b;", 2, {2, 4}, [](U a, U b, U) { return w(h(a) >> std::min<U>(b, 15)); }},
    {"popc.b32 %d, %a;", 4, {4}, [](U a, U, U) { return w(std::popcount(a)); }},
    {"popc.b64 %d, %a;", 4, {8}, [](U a, U, U) { return w(std::popcount(a)); }},
    {"clz.b32 %d, %a;", 4, {4}, [](U a, U, U) { return w(std::countl_zero(u(a))); }},
    {"clz.b64 %d, %a;", 4, {8}, [](U a, U, U) { return w(std::countl_zero(a)); }},
    {"brev.b32 %d, %a;", 4, {4}, [](U a, U, U) { return U{reversed(u(a))}; }},
    {"bfind.u32 %d, %a;", 4, {4}, [](U a, U, U) { return a ? w(31 - std::countl_zero(u(a))) : ~U{0}; }},
    {"bfind.shiftamt.u32 %d, %a;", 4, {4}, [](U a, U, U) { return a ? w(std::countl_zero(u(a))) : ~U{0}; }},
    {"bfind.s32 %d, %a;",
     4,
     {4},
     [](U a, U, U) {
       uint32_t v = u(s(a) < 0 ? ~a : a);
       return v ? w(31 - std::countl_zero(v)) : ~U{0};
     }},
    {"bfe.u32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return U{field(u(a), b, c, false)}; }},
    {"bfe.s32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return U{field(u(a), b, c, true)}; }},
    {"bfi.b32 %d, %a, 0x12345678, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return inserted(a, 0x12345678, b, c); }},
    {"prmt.b32 %d, %a, %b, %c;", 4, {4, 4, 4}, permuted},
    {"prmt.b32.f4e %d, %a, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return (b << 32 | a) >> (8 * (c & 3)); }},
    {"lop3.b32 %d, %a, %b, %c, 0xE8;", 4, {4, 4, 4}, [](U a, U b, U c) { return (a & b) | (a & c) | (b & c); }},
    {"shf.l.wrap.b32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return ((b << 32 | a) << (c & 31)) >> 32; }},
    {"shf.r.clamp.b32 %d, %a, %b, %c;",
     4,
     {4, 4, 4},
     [](U a, U b, U c) { return (b << 32 | a) >> std::min<U>(c, 32); }},
    {"mov.b64 %d, {%a, %b};", 8, {4, 4}, [](U a, U b, U) { return b << 32 | a; }},
    {"mov.b32 %d, {%a, %b};", 4, {2, 2}, [](U a, U b, U) { return b << 16 | a; }},
    {"mov.b64 {%r9, %d}, %a;", 4, {8}, [](U a, U, U) { return a >> 32; }},
    {"mov.b32 {%d, _}, %a;", 2, {4}, [](U a, U, U) { return a; }},
};
INSTANTIATE_TEST_SUITE_P(Bits, Integer, testing::ValuesIn(kBits));

const Case kComparisons[] = {
    {"setp.lt.s32 %pd, %a, %b;", 0, {4, 4}, [](U a, U b, U) { return U{s(a) < s(b)}; }},
    {"setp.lo.u32 %pd, %a, %b;", 0, {4, 4}, [](U a, U b, U) { return U{a < b}; }},
    {"setp.hs.u64 %pd, %a, %b;", 0, {8, 8}, [](U a, U b, U) { return U{a >= b}; }},
    {"setp.ge.s16 %pd, %a, %b;", 0, {2, 2}, [](U a, U b, U) { return U{h(a) >= h(b)}; }},
    {"setp.ne.b32 %pd, %a, %b;", 0, {4, 4}, [](U a, U b, U) { return U{a != b}; }},
    {"setp.eq.s64 %pd, %a, %b;", 0, {8, 8}, [](U a, U b, U) { return U{a == b}; }},
    {"setp.lt.s32 %q1, %c, 5;\nsetp.gt.and.s32 %pd, %a, %b, !%q1;",
     0,
     {4, 4, 4},
     [](U a, U b, U c) { return U{s(a) > s(b) && s(c) >= 5}; }},
    {"setp.lt.s32 %q1, %c, 5;\nsetp.le.or.u32 %q2|%pd, %a, %b, %q1;",
     0,
     {4, 4, 4},
     [](U a, U b, U c) { return U{a > b || s(c) < 5}; }},
    {"setp.lt.s32 %q1, %c, 5;\nsetp.eq.xor.u32 %pd, %a, %b, %q1;",
     0,
     {4, 4, 4},
     [](U a, U b, U c) { return U{(a == b) != (s(c) < 5)}; }},
    {"setp.lt.s32 %q1, %a, 9;\nsetp.gt.s32 %q2, %b, 0;\nxor.pred %q3, %q1, %q2;\nnot.pred %pd, %q3;",
     0,
     {4, 4},
     [](U a, U b, U) { return U{(s(a) < 9) == (s(b) > 0)}; }},
    {"set.lt.u32.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return s(a) < s(b) ? ~U{0} : 0; }},
    {"setp.lt.s32 %q1, %c, 5;\nselp.b32 %d, %a, %b, %q1;",
     4,
     {4, 4, 4},
     [](U a, U b, U c) { return s(c) < 5 ? a : b; }},
    {"slct.b32.s32 %d, %a, %b, %c;", 4, {4, 4, 4}, [](U a, U b, U c) { return s(c) >= 0 ? a : b; }},
};
INSTANTIATE_TEST_SUITE_P(Comparisons, Integer, testing::ValuesIn(kComparisons));

TEST(Harness, AWrongResultIsFound) {
  EXPECT_NONFATAL_FAILURE(
      checkOn({"add.s32 %d, %a, %b;", 4, {4, 4}, [](U a, U b, U) { return a + b + 1; }}, {{1, 2, 0}}),
      "gives 0x3, expected 0x4");
}
} // namespace
} // namespace peer::runtime::sim::test
