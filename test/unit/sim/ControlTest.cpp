// Branches and where lanes meet again, barriers, calls.

#include "SimTestSupport.h"

namespace peer::runtime::sim::test {
namespace {
/// Stores `result` (a 32-bit register) for each thread of one block.
std::string storing(const std::string &body, const std::string &result, const std::string &declarations = "") {
  return kernel(1, body + "\nmul.wide.u32 %x9, %t, 4;\nadd.u64 %x9, %x9, %p0;\nst.global.u32 [%x9], " + result + ";",
                declarations);
}
std::vector<uint32_t> results(const std::string &ptx, uint32_t threads = 32, LaunchResult *into = nullptr) {
  Machine machine(ptx);
  uint64_t out = machine.upload(std::vector<uint32_t>(threads));
  LaunchResult result = machine.run({}, {threads}, out);
  expectClean(result);
  if (into)
    *into = result;
  return machine.download<uint32_t>(out, threads);
}

TEST(Control, LanesMeetAfterAnIf) {
  // The vote sees all lanes only if both ways have joined.
  auto got = results(storing(
      "setp.lt.u32 %q1, %t, 7;\nmov.u32 %r1, 1;\n@%q1 bra A;\nmov.u32 %r1, 2;\nbra B;\nA:\nmov.u32 %r1, 3;\nB:\n"
      "activemask.b32 %r2;\npopc.b32 %r2, %r2;\nshl.b32 %r1, %r1, 8;\nor.b32 %r1, %r1, %r2;",
      "%r1"));
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(got[t], (t < 7 ? 3u : 2u) << 8 | 32);
}

TEST(Control, LoopsWithDifferentTripCountsAndBreaks) {
  auto got =
      results(storing("mov.u32 %r1, 0;\nmov.u32 %r2, 0;\nLOOP:\nadd.u32 %r2, %r2, %r1;\nadd.u32 %r1, %r1, 1;\n"
                      "setp.eq.u32 %q1, %r2, 6;\n@%q1 bra BREAK;\nsetp.le.u32 %q2, %r1, %t;\n@%q2 bra LOOP;\nbra END;\n"
                      "BREAK:\nadd.u32 %r2, %r2, 1000;\nEND:\nactivemask.b32 %r3;\npopc.b32 %r3, %r3;\nshl.b32 %r3, "
                      "%r3, 16;\nor.b32 %r2, %r2, %r3;",
                      "%r2"));
  for (uint32_t t = 0; t < 32; ++t) {
    uint32_t sum = 0, i = 0;
    do {
      sum += i++;
      if (sum == 6) {
        sum += 1000;
        break;
      }
    } while (i <= t);
    EXPECT_EQ(got[t], sum | 32u << 16) << t;
  }
}

TEST(Control, BlocksOutOfOrderInTheTextStillMeet) {
  // The block after the loop stands before the loop: order by text alone would run it lane by lane.
  auto got =
      results(storing("mov.u32 %r1, 0;\nbra LOOP;\nAFTER:\nactivemask.b32 %r2;\npopc.b32 %r2, %r2;\nbra STORE;\n"
                      "LOOP:\nadd.u32 %r1, %r1, 1;\nsetp.gt.u32 %q1, %r1, %t;\n@%q1 bra AFTER;\nbra LOOP;\nSTORE:",
                      "%r2"));
  EXPECT_EQ(got, std::vector<uint32_t>(32, 32));
}

TEST(Control, NestedLoops) {
  auto got = results(storing(
      "mov.u32 %r1, 0;\nmov.u32 %r3, 0;\nOUTER:\nmov.u32 %r2, 0;\nINNER:\nadd.u32 %r3, %r3, 1;\nadd.u32 %r2, %r2, 1;\n"
      "setp.le.u32 %q1, %r2, %r1;\n@%q1 bra INNER;\nadd.u32 %r1, %r1, 1;\nsetp.lt.u32 %q2, %r1, %t;\n@%q2 bra OUTER;",
      "%r3"));
  for (uint32_t t = 0; t < 32; ++t) {
    uint32_t n = std::max(t, 1u);
    EXPECT_EQ(got[t], n * (n + 1) / 2);
  }
}

TEST(Control, EarlyExitThenBarrier) {
  auto got = results(
      kernel(1,
             "setp.ge.u32 %q1, %t, 20;\n@%q1 bra EXIT;\nbar.sync 0;\nmul.wide.u32 %x9, %t, 4;\nadd.u64 %x9, %x9, %p0;\n"
             "st.global.u32 [%x9], 5;\nEXIT:\nret;"),
      64);
  for (uint32_t t = 0; t < 64; ++t)
    EXPECT_EQ(got[t], t < 20 ? 5u : 0u);
}

TEST(Control, IndexedBranch) {
  auto got = results(storing(
      "and.b32 %r1, %t, 3;\nTABLE: .branchtargets A, B, C, B;\nbrx.idx %r1, TABLE;\nA:\nmov.u32 %r2, 10;\nbra END;\n"
      "B:\nmov.u32 %r2, 20;\nbra END;\nC:\nmov.u32 %r2, 30;\nEND:\nactivemask.b32 %r3;\npopc.b32 %r3, %r3;\nadd.u32 "
      "%r2, %r2, %r3;",
      "%r2"));
  const uint32_t expected[] = {42, 52, 62, 52};
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(got[t], expected[t % 4]);
}

TEST(Control, LanesSyncAcrossBranches) {
  // Each way of the branch waits for the other inside: only lanes that are scheduled by themselves get through.
  auto got =
      results(storing("mov.u32 %r2, 0;\nsetp.lt.u32 %q1, %t, 16;\n@!%q1 bra SECOND;\nadd.u32 %r2, %t, 100;\nSECOND:\n"
                      "shfl.sync.bfly.b32 %r3, %r2, 16, 31, -1;",
                      "%r3"));
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(got[t], t < 16 ? 0 : t - 16 + 100);
}

TEST(Control, NamedBarriersAndReductions) {
  // The second warp waits for what the first has written and announced.
  std::string ptx =
      storing("setp.lt.u32 %q1, %t, 32;\nsetp.eq.u32 %q2, %t, 40;\n@%q1 bra PRODUCE;\nbar.sync 1, 64;\nld.shared.u32 "
              "%r1, [cell];\nbra END;\n"
              "PRODUCE:\nst.shared.u32 [cell], 77;\nbar.arrive 1, 64;\nmov.u32 %r1, 1;\nEND:\n"
              "bar.red.popc.u32 %r2, 2, %q1;\nbar.red.or.pred %q3, 2, %q2;\nbar.red.and.pred %q4, 2, %q1;\n"
              "selp.u32 %r3, 1000, 0, %q3;\nselp.u32 %r4, 5000, 0, %q4;\nadd.u32 %r1, %r1, %r2;\nadd.u32 %r1, %r1, "
              "%r3;\nadd.u32 %r1, %r1, %r4;",
              "%r1", ".shared .align 4 .u32 cell;");
  auto got = results(ptx, 64);
  for (uint32_t t = 0; t < 64; ++t)
    EXPECT_EQ(got[t], (t < 32 ? 1u : 77u) + 32 + 1000);
}

TEST(Control, CallsOfFunctions) {
  std::string function =
      ".func (.param .b32 ret) triple(.param .b32 arg)\n{\n.reg .b32 %r<3>;\n.reg .pred %q;\nld.param.b32 %r1, [arg];\n"
      "setp.gt.u32 %q, %r1, 9;\n@%q bra BIG;\nmul.lo.u32 %r2, %r1, 3;\nst.param.b32 [ret], "
      "%r2;\nret;\nBIG:\nst.param.b32 [ret], 9;\nret;\n}\n";
  std::string call =
      "{\n.param .b32 a;\n.param .b32 r;\nst.param.b32 [a], %t;\ncall.uni (r), triple, (a);\nld.param.b32 %r1, "
      "[r];\n}\n"
      "{\n.param .b32 a;\n.param .b32 r;\nst.param.b32 [a], %r1;\ncall (r), triple, (a);\nld.param.b32 %r2, [r];\n}\n"
      "activemask.b32 %r3;\npopc.b32 %r3, %r3;\nadd.u32 %r2, %r2, %r3;";
  auto got = results(storing(call, "%r2", function));
  auto triple = [](uint32_t v) { return v > 9 ? 9 : v * 3; };
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(got[t], triple(triple(t)) + 32);
}

TEST(Control, CountsLaneOperations) {
  LaunchResult result;
  results(storing("setp.lt.u32 %q1, %t, 8;\n@%q1 mov.u32 %r1, 1;\n@!%q1 mov.u32 %r1, 2;", "%r1"), 32, &result);
  // Three of the frame, setp, two guarded moves that make one, three of the store, ret.
  EXPECT_EQ(result.laneOperations, 32u * 9);
  EXPECT_EQ(result.warpInstructions, 10u);
}
} // namespace
} // namespace peer::runtime::sim::test
