// A planted fault of every kind is found, at its place; its correct twin is clean.

#include "SimTestSupport.h"

namespace peer::runtime::sim::test {
namespace {
/// Runs `body` with one zeroed buffer of 64 words.
LaunchResult runOn(const std::string &ptx, Dim3 grid, Dim3 block, uint64_t limit = 0) {
  Machine machine(ptx);
  if (limit)
    machine.options.instructionLimit = limit;
  return machine.run(grid, block, machine.upload(std::vector<uint32_t>(64)));
}
std::string address(const std::string &index) {
  return "mul.wide.u32 %x1, " + index + ", 4;\nadd.u64 %x1, %x1, %p0;\n";
}
const std::string kShared = ".shared .align 16 .b8 tile[256];";

void planted(FaultKind kind, const std::string &ptx, const std::string &where, Dim3 grid = {}, Dim3 block = {64}) {
  expectFault(runOn(ptx, grid, block, 100000), kind, ptx, where);
}
void clean(const std::string &ptx, Dim3 grid = {}, Dim3 block = {64}) { expectClean(runOn(ptx, grid, block)); }

TEST(Faults, OutOfBounds) {
  std::string good = kernel(1, address("%t") + "ld.global.u32 %r1, [%x1];\nst.global.u32 [%x1], %r1;");
  clean(good);
  planted(FaultKind::OutOfBounds, good, "global", {}, {96});
  planted(FaultKind::OutOfBounds, kernel(1, address("%t") + "ld.global.u32 %r1, [%x1+-4];"), "ld.global");
  planted(FaultKind::OutOfBounds, kernel(1, "st.shared.u32 [tile+256], 1;", kShared), "st.shared");
  planted(FaultKind::OutOfBounds, kernel(1, "mov.u64 %x1, 64;\nld.u8 %h1, [%x1];"), "ld.u8");
  // An access that is wider than all there is.
  std::string wide = kernel(1, "st.global.v4.u32 [%p0], {%t, %t, %t, %t};");
  Machine machine(wide);
  expectFault(machine.run({}, {32}, machine.reserve(8)), FaultKind::OutOfBounds, wide, "st.global");
}

TEST(Faults, ReportNamesThePlace) {
  Machine machine(kernel(1, address("%t") + "st.global.u32 [%x1], %t;"));
  uint64_t buffer = machine.upload(std::vector<uint32_t>(64));
  LaunchResult result = machine.run({2, 3}, {8, 4, 4}, buffer + 0xe4);
  ASSERT_FALSE(result.faults.empty());
  const Fault &fault = result.faults[0];
  EXPECT_EQ(fault.kind, FaultKind::OutOfBounds);
  EXPECT_EQ(fault.thread.x, 7u);
  EXPECT_EQ(fault.address, buffer + 0xe4 + 28);
  EXPECT_EQ(fault.size, 4u);
  EXPECT_NE(fault.text().find("kernel 'k'"), std::string::npos) << fault.text();
  EXPECT_NE(fault.text().find("offset 256 of an allocation of 256 bytes named buffer"), std::string::npos)
      << fault.text();
}

TEST(Faults, FreedMemory) {
  Machine machine(kernel(1, "ld.global.u32 %r1, [%p0];"));
  uint64_t buffer = machine.upload(std::vector<uint32_t>(4));
  ASSERT_TRUE(machine.simulator.memory().free(buffer).ok());
  LaunchResult result = machine.run({}, {}, buffer);
  ASSERT_EQ(result.faults.size(), 1u);
  EXPECT_NE(result.faults[0].text().find("freed"), std::string::npos);
}

TEST(Faults, Misaligned) {
  clean(kernel(1, "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%p0+16];"));
  planted(FaultKind::Misaligned, kernel(1, "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%p0+8];"), "ld.global.v4");
  planted(FaultKind::Misaligned, kernel(1, "st.shared.u32 [tile+2], %t;", kShared), "st.shared", {}, {1});
}

TEST(Faults, UninitialisedReads) {
  for (auto [written, space] : {std::pair{true, "shared"}, {false, "shared"}, {true, "local"}, {false, "local"}}) {
    std::string variable = std::string(".") + space + " .align 4 .b8 v[8];\n";
    std::string store = std::string("st.") + space + ".u32 [v], 7;\n";
    std::string ptx = kernel(1, variable + (written ? store : "") + "ld." + space + ".u32 %r1, [v];");
    if (written)
      clean(ptx, {}, {1});
    else
      planted(FaultKind::Uninitialised, ptx, "ld.", {}, {1});
  }
  std::string ptx = kernel(1, "ld.global.u16 %h1, [%p0+6];");
  Machine machine(ptx);
  uint64_t buffer = machine.reserve(16);
  expectFault(machine.run({}, {}, buffer), FaultKind::Uninitialised, ptx, "ld.global");
  uint16_t value = 1;
  ASSERT_TRUE(machine.simulator.memory().copyIn(buffer + 6, &value, 2).ok());
  expectClean(machine.run({}, {}, buffer));
}

std::string exchange(const std::string &between, const std::string &flip) {
  return kernel(1,
                "shl.b32 %r1, %t, 2;\nmov.u32 %r2, tile;\nadd.u32 %r1, %r1, %r2;\nst.shared.u32 [%r1], 99;\n"
                "bar.sync 0;\nst.shared.u32 [%r1], %t;\n" +
                    between + "\nxor.b32 %r3, %t, " + flip +
                    ";\nshl.b32 %r3, %r3, 2;\nadd.u32 %r3, %r3, %r2;\nld.shared.u32 %r4, [%r3];",
                kShared);
}

TEST(Faults, SharedRaces) {
  clean(exchange("bar.sync 0;", "32"));
  planted(FaultKind::SharedRace, exchange("", "32"), "shared");
  clean(exchange("bar.warp.sync 0xffffffff;", "1"));
  planted(FaultKind::SharedRace, exchange("", "1"), "ld.shared");
  // bar.warp.sync orders one warp, not two.
  planted(FaultKind::SharedRace, exchange("bar.warp.sync -1;", "32"), "shared");
  // Two writers of different values; of the same value.
  planted(FaultKind::SharedRace, kernel(1, "st.shared.u32 [tile], %t;", kShared), "st.shared");
  clean(kernel(1, "st.shared.u32 [tile], 5;", kShared));
  // A read, then a write by another thread.
  std::string late = "bar.sync 0;\nsetp.eq.u32 %q1, %t, 40;\n";
  std::string read = "ld.shared.u32 %r1, [tile];\n";
  planted(FaultKind::SharedRace,
          kernel(1, "st.shared.u32 [tile], 5;\n" + late + read + "@%q1 st.shared.u32 [tile], 6;", kShared), "shared");
  clean(kernel(1, "st.shared.u32 [tile], 5;\n" + late + read + "bar.sync 1;\n@%q1 st.shared.u32 [tile], 6;", kShared));
  // Of two readers the writer is one itself, and does not know of the other.
  auto readers = [](const std::string &before, const std::string &after) {
    return kernel(1,
                  "st.shared.u32 [tile], 5;\nbar.sync 0;\nsetp.eq.u32 %q1, %t, 0;\nsetp.eq.u32 %q2, %t, 32;\n"
                  "setp.ge.u32 %q3, %t, 32;\n@%q1 ld.shared.u32 %r1, [tile];\n@%q3 bra SECOND;\nbar.sync 1, 64;\n"
                  "@%q1 st.shared.u32 [tile], 6;\nbra END;\nSECOND:\n" +
                      before + "bar.arrive 1, 64;\n" + after + "END:",
                  kShared);
  };
  std::string second = "@%q2 ld.shared.u32 %r1, [tile];\n";
  clean(readers(second, ""));
  planted(FaultKind::SharedRace, readers("", second), "[tile], 6");
  // Neighbouring bytes are different memory.
  clean(kernel(1, "mov.u32 %r1, tile;\nadd.u32 %r1, %r1, %t;\nst.shared.u8 [%r1], %t;\nld.shared.u8 %r2, [%r1];",
               kShared));
}

TEST(Faults, GlobalRaces) {
  std::string index = "mov.u32 %r1, %ctaid.x;\n";
  planted(FaultKind::GlobalRace, kernel(1, index + "st.global.u32 [%p0], %r1;"), "st.global", {8}, {1});
  clean(kernel(1, index + address("%r1") + "st.global.u32 [%x1], %r1;"), {8}, {1});
  clean(kernel(1, index + "red.global.add.u32 [%p0], %r1;"), {8}, {1});
  // One block reads what another writes.
  std::string ptx = kernel(1, index + address("%r1") + "st.global.u32 [%x1], %r1;\nxor.b32 %r1, %r1, 1;\n" +
                                  address("%r1") + "ld.global.u32 %r2, [%x1];");
  planted(FaultKind::GlobalRace, ptx, ".global", {8}, {1});
  // Bytes of one word that belong to different blocks.
  clean(kernel(1,
               index +
                   "cvt.u64.u32 %x1, %r1;\nadd.u64 %x1, %x1, %p0;\nld.global.u8 %r2, [%x1];\nst.global.u8 [%x1], %r1;"),
        {8}, {1});
}

TEST(Faults, LastBlockMayReadWhatAllWroteAfterAFence) {
  auto text = [](const std::string &fence) {
    return kernel(1, "mov.u32 %r1, %ctaid.x;\nadd.u32 %r2, %r1, 1;\n" + address("%r2") + "st.global.u32 [%x1], %r2;\n" +
                         fence + "atom.global.add.u32 %r3, [%p0], 1;\n" + fence +
                         "setp.ne.u32 %q1, %r3, 7;\n@%q1 bra DONE;\nld.global.u32 %r4, [%p0+4];\nld.global.u32 %r5, "
                         "[%p0+32];\nDONE:");
  };
  clean(text("fence.acq_rel.gpu;\n"), {8}, {1});
  clean(text("membar.gl;\n"), {8}, {1});
  planted(FaultKind::GlobalRace, text(""), "global", {8}, {1});
}

TEST(Faults, DivergentBarriers) {
  std::string half = "setp.lt.u32 %q1, %t, 16;\n";
  clean(kernel(1, half + "@%q1 bra A;\nadd.u32 %r1, %t, 1;\nA:\nbar.sync 0;"));
  planted(FaultKind::DivergentBarrier,
          kernel(1, half + "@%q1 bra A;\nbar.sync 0;\nbra B;\nA:\nadd.u32 %r1, %t, 1;\nbar.sync 1;\nB:"), "bar.sync");
  planted(FaultKind::DivergentBarrier, kernel(1, half + "@%q1 bra A;\nbar.sync 0;\nbra B;\nA:\nbar.sync 0;\nB:"),
          "bar.sync");
  // One warp never comes; threads that have exited are not waited for.
  std::string warp = "setp.lt.u32 %q1, %t, 32;\n";
  planted(FaultKind::DivergentBarrier, kernel(1, warp + "@%q1 bra A;\nbar.sync 0;\nbra B;\nA:\nbar.sync 1;\nB:"),
          "bar.sync");
  clean(kernel(1, warp + "@%q1 ret;\nbar.sync 0;"));
  clean(kernel(1, half + "@%q1 exit;\nbar.sync 0;"));
  planted(FaultKind::DivergentBarrier, kernel(1, "bar.sync 0, 96;"), "bar.sync", {}, {96 - 32});
  // A count is one of whole warps, whatever they have; but halves of two warps are not one.
  clean(kernel(1, "bar.sync 1, 64;"), {}, {48});
  planted(FaultKind::DivergentBarrier,
          kernel(1, "and.b32 %r1, %t, 16;\nsetp.ne.u32 %q1, %r1, 0;\n@%q1 bra A;\nbar.sync 0, 32;\nA:"), "bar.sync");
}

TEST(Faults, WarpInstructionsThatWaitForEver) {
  std::string half = "setp.lt.u32 %q1, %t, 16;\n";
  planted(FaultKind::DivergentWarp,
          kernel(1, half + "@%q1 bra A;\nshfl.sync.idx.b32 %r1, %t, 0, 31, -1;\nbra B;\nA:\nshfl.sync.up.b32 %r1, %t, "
                           "1, 0, -1;\nB:"),
          "shfl", {}, {32});
  clean(kernel(1, half + "@%q1 bra A;\nshfl.sync.idx.b32 %r1, %t, 16, 31, 0xffff0000;\nA:"), {}, {32});
  planted(FaultKind::DivergentWarp, kernel(1, "shfl.sync.idx.b32 %r1, %t, 0, 31, 0xffff;"), "shfl", {}, {32});
  // Threads that have exited are not waited for.
  clean(kernel(1, half + "@%q1 exit;\nshfl.sync.idx.b32 %r1, %t, 16, 31, -1;"), {}, {32});
}

TEST(Faults, MissingAsyncWaits) {
  std::string copy =
      "shl.b32 %r1, %t, 4;\nmov.u32 %r2, tile;\nadd.u32 %r1, %r1, %r2;\ncvt.u64.u32 %x1, %t;\nshl.b64 %x1, %x1, 4;\n"
      "add.u64 %x1, %x1, %p0;\ncp.async.cg.shared.global [%r1], [%x1], 16;\ncp.async.commit_group;\n";
  std::string own = "ld.shared.u32 %r3, [%r1];", other = "xor.b32 %r4, %r1, 16;\nld.shared.u32 %r3, [%r4];";
  auto text = [&](const std::string &wait, const std::string &read) { return kernel(1, copy + wait + read, kShared); };
  clean(text("cp.async.wait_group 0;\n", own), {}, {16});
  clean(text("cp.async.wait_all;\nbar.sync 0;\n", other), {}, {16});
  planted(FaultKind::MissingAsyncWait, text("", own), "ld.shared", {}, {16});
  planted(FaultKind::MissingAsyncWait, text("cp.async.wait_group 1;\n", own), "ld.shared", {}, {16});
  planted(FaultKind::MissingAsyncWait, text("bar.sync 0;\n", other), "ld.shared", {}, {16});
  planted(FaultKind::SharedRace, text("cp.async.wait_all;\n", other), "ld.shared", {}, {16});
  // The barrier orders what came before it, and the copy ends at the wait.
  planted(FaultKind::SharedRace, text("bar.sync 0;\ncp.async.wait_all;\n", other), "ld.shared", {}, {16});
  std::string write = "st.shared.u32 [%r1], 5;";
  clean(text("cp.async.wait_all;\n", write), {}, {16});
  planted(FaultKind::MissingAsyncWait, text("", write), "st.shared", {}, {16});
}

TEST(Faults, LoopsWithoutEndAndTraps) {
  planted(FaultKind::InstructionLimit, kernel(1, "L:\nadd.u32 %r1, %r1, 1;\nbra L;"), "bra");
  planted(FaultKind::Trap, kernel(1, "setp.eq.u32 %q1, %t, 9;\n@%q1 trap;"), "trap");
}
} // namespace
} // namespace peer::runtime::sim::test
