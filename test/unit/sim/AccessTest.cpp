// Checks that are made for all lanes of an access at once find what one lane does, and nothing is left over from other launches.

#include "SimTestSupport.h"

namespace peer::runtime::sim::test {
namespace {
/// Expects one fault, of one thread, once.
void expectOne(const LaunchResult &result, FaultKind kind, uint32_t block, uint32_t thread) {
  ASSERT_EQ(result.faults.size(), 1u);
  const Fault &fault = result.faults[0];
  EXPECT_EQ(fault.kind, kind) << fault.text();
  EXPECT_EQ(fault.block.x, block) << fault.text();
  EXPECT_EQ(fault.thread.x, thread) << fault.text();
  EXPECT_EQ(fault.count, 1u) << fault.text();
}

TEST(Access, LanesThatReadWhatWasNotWritten) {
  Machine machine(kernel(1, "mul.wide.u32 %x1, %t, 4;\nadd.u64 %x1, %x1, %p0;\nld.global.u32 %r1, [%x1];"));
  uint64_t buffer = machine.reserve(256);
  std::vector<uint32_t> start(20);
  ASSERT_TRUE(machine.simulator.memory().copyIn(buffer, start.data(), 80).ok());
  LaunchResult result = machine.run({}, {32}, buffer);
  ASSERT_EQ(result.faults.size(), 1u);
  EXPECT_EQ(result.faults[0].kind, FaultKind::Uninitialised);
  EXPECT_EQ(result.faults[0].thread.x, 20u);
  EXPECT_EQ(result.faults[0].count, 12u);
}

TEST(Access, LaneThatWritesForAnotherBlock) {
  // The last thread of the second block writes to word 5, which is the first block's.
  Machine machine(kernel(1, "mov.u32 %r1, %ctaid.x;\nmad.lo.u32 %r2, %r1, 32, %t;\nsetp.eq.u32 %q1, %r2, 63;\n"
                            "selp.u32 %r3, 5, %r2, %q1;\nmul.wide.u32 %x1, %r3, 4;\nadd.u64 %x1, %x1, %p0;\n"
                            "st.global.u32 [%x1], %r2;"));
  machine.options.threads = 1;
  expectOne(machine.run({2}, {32}, machine.reserve(256)), FaultKind::GlobalRace, 1, 31);
}

TEST(Access, BlockThatWritesWhatAnotherHasRead) {
  Machine machine(kernel(1, "mov.u32 %r1, %ctaid.x;\nsetp.eq.u32 %q1, %r1, 1;\n@%q1 bra WRITE;\n"
                            "ld.global.u32 %r2, [%p0];\nbra END;\nWRITE:\nst.global.u32 [%p0], 7;\nEND:"));
  machine.options.threads = 1;
  expectOne(machine.run({2}, {1}, machine.upload(std::vector<uint32_t>(1))), FaultKind::GlobalRace, 1, 0);
}

TEST(Access, RacesAreSeenAcrossPagesOfTheRecord) {
  // One word that the first block writes, in the middle of what a warp of the second reads.
  Machine machine(kernel(1,
                         "mov.u32 %r1, %ctaid.x;\nsetp.eq.u32 %q1, %r1, 1;\n@%q1 bra READ;\nsetp.ne.u32 %q2, %t, 0;\n"
                         "@%q2 bra END;\nst.global.u32 [%p0+1024], 7;\nbra END;\nREAD:\nmul.wide.u32 %x1, %t, 16;\n"
                         "add.u64 %x1, %x1, %p0;\nld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%x1+768];\nEND:"));
  machine.options.threads = 1;
  expectOne(machine.run({2}, {32}, machine.upload(std::vector<uint32_t>(1024))), FaultKind::GlobalRace, 1, 16);
}

TEST(Access, LanesOfOneInstructionInSeveralPlaces) {
  // A third of the lanes each in shared memory and two allocations.
  Machine machine(kernel(3,
                         "mov.u64 %x1, tile;\ncvta.shared.u64 %x1, %x1;\nsetp.lt.u32 %q1, %t, 11;\n"
                         "setp.lt.u32 %q2, %t, 22;\nselp.b64 %x2, %p1, %p2, %q2;\nselp.b64 %x2, %x1, %x2, %q1;\n"
                         "mul.wide.u32 %x3, %t, 4;\nadd.u64 %x2, %x2, %x3;\nst.u32 [%x2], %t;\nld.u32 %r1, [%x2];\n"
                         "add.u64 %x3, %x3, %p0;\nst.global.u32 [%x3], %r1;",
                         ".shared .align 16 .b8 tile[128];"));
  uint64_t out = machine.reserve(128), first = machine.upload(std::vector<uint32_t>(32)),
           second = machine.upload(std::vector<uint32_t>(32));
  expectClean(machine.run({}, {32}, out, first, second));
  std::vector<uint32_t> values = machine.download<uint32_t>(out, 32), one = machine.download<uint32_t>(first, 32),
                        two = machine.download<uint32_t>(second, 32);
  for (uint32_t t = 0; t < 32; ++t) {
    EXPECT_EQ(values[t], t);
    EXPECT_EQ(one[t], t >= 11 && t < 22 ? t : 0);
    EXPECT_EQ(two[t], t >= 22 ? t : 0);
  }
}

TEST(Access, SharedMemoryOfAnEarlierLaunchIsNotWritten) {
  std::string ptx = kernel(1,
                           "shl.b32 %r1, %t, 2;\nmov.u32 %r2, tile;\nadd.u32 %r1, %r1, %r2;\nsetp.eq.u64 %q1, %p0, 0;\n"
                           "@%q1 bra SKIP;\nst.shared.u32 [%r1], %t;\nSKIP:\nld.shared.u32 %r3, [%r1];",
                           ".shared .align 16 .b8 tile[256];");
  Machine machine(ptx);
  machine.options.threads = 1;
  expectClean(machine.run({2}, {64}, uint64_t{1}));
  expectFault(machine.run({2}, {64}, uint64_t{0}), FaultKind::Uninitialised, ptx, "ld.shared");
  expectClean(machine.run({2}, {64}, uint64_t{1}));
}

TEST(Access, EveryBlockOfManySmallLaunchesRunsOnce) {
  Machine machine(kernel(1, "red.global.add.u32 [%p0], 1;"));
  machine.options.threads = 3;
  uint64_t counter = machine.upload(std::vector<uint32_t>(1));
  for (unsigned i = 0; i < 300; ++i)
    expectClean(machine.run({1 + i % 5}, {}, counter));
  EXPECT_EQ(machine.download<uint32_t>(counter, 1)[0], 60u * (1 + 2 + 3 + 4 + 5));
}
} // namespace
} // namespace peer::runtime::sim::test
