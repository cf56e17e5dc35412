// Exchange between lanes.

#include "SimTestSupport.h"

#include <bit>

namespace peer::runtime::sim::test {
namespace {
/// One warp; %r0 is a value of the lane, (lane * 7) mod 13; the result is %r1.
std::vector<uint32_t> warp(const std::string &body) {
  Machine machine(kernel(1, "mul.lo.u32 %r0, %t, 7;\nrem.u32 %r0, %r0, 13;\nmov.u32 %r1, 0;\n" + body +
                                "\nmul.wide.u32 %x1, %t, 4;\nadd.u64 %x1, %x1, %p0;\nst.global.u32 [%x1], %r1;"));
  uint64_t out = machine.upload(std::vector<uint32_t>(32));
  expectClean(machine.run({}, {32}, out));
  return machine.download<uint32_t>(out, 32);
}
uint32_t value(uint32_t lane) { return lane * 7 % 13; }
void expectLanes(const std::string &body, const std::function<uint32_t(uint32_t)> &expected) {
  auto got = warp(body);
  for (uint32_t lane = 0; lane < 32; ++lane)
    EXPECT_EQ(got[lane], expected(lane)) << body << " in lane " << lane;
}

TEST(Warp, Shuffles) {
  expectLanes("shfl.sync.idx.b32 %r1, %r0, 5, 31, -1;", [](uint32_t) { return value(5); });
  expectLanes("shfl.sync.bfly.b32 %r1, %r0, 3, 31, -1;", [](uint32_t l) { return value(l ^ 3); });
  expectLanes("shfl.sync.up.b32 %r1, %r0, 4, 0, -1;", [](uint32_t l) { return value(l < 4 ? l : l - 4); });
  expectLanes("shfl.sync.down.b32 %r1, %r0, 4, 31, -1;", [](uint32_t l) { return value(l + 4 > 31 ? l : l + 4); });
  // Segments of 8 lanes: the segment mask is 0x18, above the clamp.
  expectLanes("shfl.sync.down.b32 %r1, %r0, 2, 0x181f, -1;",
              [](uint32_t l) { return value(l % 8 + 2 > 7 ? l : l + 2); });
  expectLanes("shfl.sync.idx.b32 %r1, %r0, 1, 0x181f, -1;", [](uint32_t l) { return value(l / 8 * 8 + 1); });
  expectLanes("shfl.sync.up.b32 %r2|%q1, %r0, 4, 0, -1;\nselp.u32 %r1, 1, 0, %q1;",
              [](uint32_t l) { return uint32_t{l >= 4}; });
  expectLanes("mov.u32 %r3, %laneid;\nand.b32 %r3, %r3, 16;\nshl.b32 %r4, 0xffff, %r3;\nshfl.sync.idx.b32 %r1, %r0, "
              "%r3, 31, %r4;",
              [](uint32_t l) { return value(l & 16); });
}

TEST(Warp, Votes) {
  std::string p = "setp.gt.u32 %q1, %r0, 6;\n";
  uint32_t ballot = 0;
  for (uint32_t l = 0; l < 32; ++l)
    ballot |= uint32_t{value(l) > 6} << l;
  expectLanes(p + "vote.sync.ballot.b32 %r1, %q1, -1;", [=](uint32_t) { return ballot; });
  expectLanes(p + "vote.sync.ballot.b32 %r1, !%q1, -1;", [=](uint32_t) { return ~ballot; });
  expectLanes(p + "vote.sync.any.pred %q2, %q1, -1;\nselp.u32 %r1, 1, 0, %q2;", [](uint32_t) { return 1; });
  expectLanes(p + "vote.sync.all.pred %q2, %q1, -1;\nselp.u32 %r1, 1, 0, %q2;", [](uint32_t) { return 0; });
  expectLanes("setp.lt.u32 %q1, %r0, 99;\nvote.sync.uni.pred %q2, %q1, -1;\nselp.u32 %r1, 1, 0, %q2;",
              [](uint32_t) { return 1; });
  // Only those that take part count.
  expectLanes(p + "@%q1 vote.sync.all.pred %q2, %q1, " + std::to_string(ballot) + ";\n@%q1 selp.u32 %r1, 1, 0, %q2;",
              [](uint32_t l) { return uint32_t{value(l) > 6}; });
}

TEST(Warp, MatchReduxElectAndSpecialRegisters) {
  expectLanes("match.any.sync.b32 %r1, %r0, -1;", [](uint32_t l) {
    uint32_t same = 0;
    for (uint32_t other = 0; other < 32; ++other)
      same |= uint32_t{value(other) == value(l)} << other;
    return same;
  });
  expectLanes("match.all.sync.b32 %r1|%q1, %r0, -1;", [](uint32_t) { return 0; });
  expectLanes("mov.u32 %r2, 3;\nmatch.all.sync.b32 %r3|%q1, %r2, -1;\nselp.u32 %r1, %r3, 0, %q1;",
              [](uint32_t) { return ~0u; });
  uint32_t sum = 0, all = ~0u, any = 0, parity = 0;
  for (uint32_t l = 0; l < 32; ++l) {
    sum += value(l);
    all &= value(l);
    any |= value(l);
    parity ^= value(l);
  }
  expectLanes("redux.sync.add.s32 %r1, %r0, -1;", [=](uint32_t) { return sum; });
  expectLanes("redux.sync.max.u32 %r1, %r0, -1;", [](uint32_t) { return 12; });
  expectLanes("sub.s32 %r0, %r0, 6;\nredux.sync.min.s32 %r1, %r0, -1;",
              [](uint32_t) { return static_cast<uint32_t>(-6); });
  expectLanes("redux.sync.and.b32 %r1, %r0, -1;", [=](uint32_t) { return all; });
  expectLanes("redux.sync.or.b32 %r1, %r0, -1;", [=](uint32_t) { return any; });
  expectLanes("redux.sync.xor.b32 %r1, %r0, -1;", [=](uint32_t) { return parity; });
  expectLanes("elect.sync %r1|%q1, 0xffffffff;\n@%q1 add.u32 %r1, %r1, 100;",
              [](uint32_t l) { return l == 0 ? 100 : 0; });
  expectLanes("mov.u32 %r1, %lanemask_lt;\npopc.b32 %r1, %r1;", [](uint32_t l) { return l; });
  expectLanes("mov.u32 %r1, %lanemask_ge;\nmov.u32 %r2, %lanemask_gt;\nxor.b32 %r1, %r1, %r2;\nmov.u32 %r2, "
              "%lanemask_eq;\nxor.b32 %r1, %r1, %r2;",
              [](uint32_t) { return 0; });
  expectLanes("mov.u32 %r2, %clock;\nmov.u32 %r3, %clock;\nsub.u32 %r1, %r3, %r2;", [](uint32_t) { return 1; });
}

TEST(Warp, ReductionOfABlockByShuffles) {
  std::string body = "mov.u32 %r1, %ctaid.x;\nmad.lo.u32 %r1, %r1, 256, %t;\nmul.wide.u32 %x1, %r1, 4;\nadd.u64 %x1, "
                     "%x1, %p0;\nld.global.f32 %f1, [%x1];\n";
  auto fold = [&](const char *from) {
    for (const char *step : {"16", "8", "4", "2", "1"})
      body += std::string("mov.b32 %r2, ") + from + ";\nshfl.sync.bfly.b32 %r3, %r2, " + step +
              ", 31, -1;\nmov.b32 %f2, %r3;\nadd.f32 %f1, %f1, %f2;\n";
  };
  fold("%f1");
  body += "and.b32 %r4, %t, 31;\nshr.u32 %r5, %t, 5;\nshl.b32 %r6, %r5, 2;\nmov.u32 %r7, part;\nadd.u32 %r6, %r6, "
          "%r7;\nsetp.eq.u32 %q1, %r4, 0;\n"
          "@%q1 st.shared.f32 [%r6], %f1;\nbar.sync 0;\nsetp.ne.u32 %q2, %r5, 0;\n@%q2 bra END;\nsetp.lt.u32 %q3, %t, "
          "8;\nmov.f32 %f1, 0f00000000;\n"
          "shl.b32 %r6, %t, 2;\nadd.u32 %r6, %r6, %r7;\n@%q3 ld.shared.f32 %f1, [%r6];\n";
  fold("%f1");
  body += "setp.eq.u32 %q4, %t, 0;\nmov.u32 %r1, %ctaid.x;\nmul.wide.u32 %x2, %r1, 4;\nadd.u64 %x2, %x2, %p1;\n@%q4 "
          "st.global.f32 [%x2], %f1;\nEND:\n";
  Machine machine(kernel(2, body, ".shared .align 4 .b8 part[32];"));
  std::vector<float> input(512);
  for (size_t i = 0; i < input.size(); ++i)
    input[i] = static_cast<float>(i);
  uint64_t in = machine.upload(input), out = machine.upload(std::vector<float>(2));
  expectClean(machine.run({2}, {256}, in, out));
  EXPECT_EQ(machine.download<float>(out, 2), (std::vector<float>{255 * 128, 255 * 128 + 65536}));
}
} // namespace
} // namespace peer::runtime::sim::test
