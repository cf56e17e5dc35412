// Loads, stores and atomic operations in every space.

#include "SimTestSupport.h"

#include <cmath>
#include <numeric>

namespace peer::runtime::sim::test {
namespace {
std::vector<uint32_t> run(const std::string &ptx, const std::vector<uint32_t> &input, uint32_t threads = 32,
                          Dim3 grid = {}) {
  Machine machine(ptx);
  uint64_t in = machine.upload(input), out = machine.upload(std::vector<uint32_t>(threads));
  expectClean(machine.run(grid, {threads}, in, out));
  return machine.download<uint32_t>(out, threads);
}
const std::string kPlaces = "mul.wide.u32 %x1, %t, 4;\nadd.u64 %x2, %x1, %p1;\nadd.u64 %x1, %x1, %p0;\n";

TEST(Memory, BytesAreExtendedAsTheirTypeSays) {
  auto got = run(
      kernel(
          2,
          kPlaces +
              "ld.global.s8 %r1, [%x1];\nld.global.nc.u8 %h1, [%x1+1];\ncvt.u32.u16 %r2, %h1;\nadd.s32 %r1, %r1, %r2;\n"
              "ld.global.s16 %x5, [%x1+2];\ncvt.u32.u64 %r3, %x5;\nadd.s32 %r1, %r1, %r3;\nst.global.u32 [%x2], %r1;"),
      std::vector<uint32_t>(32, 0xfffe05ff));
  EXPECT_EQ(got, std::vector<uint32_t>(32, static_cast<uint32_t>(-1 + 5 - 2)));
}

TEST(Memory, VectorsAndCacheOperators) {
  std::vector<uint32_t> input(128);
  std::iota(input.begin(), input.end(), 0);
  auto got = run(
      kernel(2, "mul.wide.u32 %x1, %t, 16;\nadd.u64 %x1, %x1, %p0;\nmul.wide.u32 %x2, %t, 4;\nadd.u64 %x2, %x2, %p1;\n"
                "ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%r1, %r2, _, %r4}, [%x1];\nld.global.cg.v2.b32 {%f1, "
                "%r6}, [%x1+8];\n"
                "add.u32 %r1, %r1, %r4;\nadd.u32 %r1, %r1, %r6;\nst.global.cs.u32 [%x2], %r1;\nst.global.wb.v2.u32 "
                "[%x1], {%r1, %r1};"),
      input);
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(got[t], 4 * t + 2 * (4 * t + 3));
}

TEST(Memory, GenericAddressesLeadToEverySpace) {
  std::string body =
      kPlaces +
      ".local .align 8 .b8 mine[16];\nmov.u64 %x3, mine;\ncvta.local.u64 %x3, %x3;\nst.u32 [%x3+4], %t;\n"
      "mov.u64 %x4, tile;\ncvta.shared.u64 %x4, %x4;\nmul.wide.u32 %x5, %t, 4;\nadd.u64 %x4, %x4, %x5;\nst.u32 [%x4], "
      "%t;\n"
      "ld.local.u32 %r1, [mine+4];\nld.u32 %r2, [%x4];\nld.const.u32 %r3, [seven];\nld.u32 %r4, [%x1];\n"
      "isspacep.shared %q1, %x4;\nselp.u32 %r5, 10000, 0, %q1;\nisspacep.global %q1, %x4;\nselp.u32 %r6, 1, 0, %q1;\n"
      "add.u32 %r1, %r1, %r2;\nadd.u32 %r1, %r1, %r3;\nadd.u32 %r1, %r1, %r4;\nadd.u32 %r1, %r1, %r5;\nadd.u32 %r1, "
      "%r1, %r6;\n"
      "st.global.u32 [%x2], %r1;";
  auto got = run(kernel(2, body, ".shared .align 4 .b8 tile[128];\n.const .align 4 .u32 seven = 7;"),
                 std::vector<uint32_t>(32, 100));
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(got[t], 2 * t + 10107);
}

TEST(Memory, DynamicSharedFollowsTheDeclared) {
  Machine machine(kernel(1,
                         "mov.u32 %r1, dynamic;\nmov.u32 %r2, fixed;\nst.shared.u32 [%r1+60], 3;\nst.shared.u32 [%r2], "
                         "4;\nld.shared.u32 %r3, [dynamic+60];\n"
                         "sub.u32 %r1, %r1, %r2;\nmov.u32 %r4, %dynamic_smem_size;\nst.global.v2.u32 [%p0], {%r1, "
                         "%r3};\nst.global.u32 [%p0+8], %r4;",
                         ".extern .shared .align 16 .b8 dynamic[];\n.shared .align 4 .b8 fixed[20];"));
  machine.sharedBytes = 64;
  uint64_t out = machine.upload(std::vector<uint32_t>(3));
  expectClean(machine.run({}, {}, out));
  EXPECT_EQ(machine.download<uint32_t>(out, 3), (std::vector<uint32_t>{32, 3, 64}));
}

TEST(Memory, ConstantsAreNotWritten) {
  std::string ptx = kernel(1, "mov.u64 %x1, c;\nst.global.u32 [%x1], 1;", ".const .u32 c = 7;");
  Machine machine(ptx);
  expectFault(machine.run({}, {}, uint64_t{0}), FaultKind::OutOfBounds, ptx, "st.global");
}

TEST(Memory, HostCopiesAreChecked) {
  Memory memory;
  uint64_t a = *memory.allocate(16);
  uint32_t data[8] = {};
  EXPECT_TRUE(memory.copyIn(a, data, 16).ok());
  EXPECT_NE(memory.copyIn(a + 4, data, 16).message().find("16 bytes at offset 4 of an allocation of 16 bytes"),
            std::string::npos);
  EXPECT_TRUE(memory.fill(a, 0x01020304, 4, 4).ok());
  uint64_t b = *memory.allocate(16);
  EXPECT_TRUE(memory.copy(b, a, 16).ok());
  EXPECT_TRUE(memory.copyOut(data, b, 16).ok());
  EXPECT_EQ(data[3], 0x01020304u);
  EXPECT_EQ(memory.used(), 32u);
  EXPECT_TRUE(memory.free(a).ok());
  EXPECT_FALSE(memory.free(a).ok());
  EXPECT_NE(memory.copyOut(data, a, 4).message().find("freed"), std::string::npos);
}

/// Every thread of 4 blocks applies `instruction` to one cell; the result of the last must be `expected`.
void atomics(const std::string &instruction, uint64_t start, uint64_t expected, unsigned bytes = 4) {
  Machine machine(kernel(1, "mov.u32 %r1, %ctaid.x;\nmad.lo.u32 %r1, %r1, 64, %t;\ncvt.u64.u32 %x1, "
                            "%r1;\ncvt.rn.f32.u32 %f1, %r1;\ncvt.f64.f32 %fd1, %f1;\n" +
                                instruction));
  machine.options.threads = 2;
  uint64_t cell = machine.upload(std::vector<uint64_t>{start, start});
  expectClean(machine.run({4}, {64}, cell));
  uint64_t mask = bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
  EXPECT_EQ(machine.download<uint64_t>(cell, 1)[0] & mask, expected) << instruction;
}

TEST(Atomics, EveryOperation) {
  atomics("atom.global.add.u32 %r2, [%p0], %r1;", 5, 5 + 255 * 128);
  atomics("red.relaxed.gpu.global.add.u64 [%p0], %x1;", 5, 5 + 255 * 128, 8);
  atomics("red.global.max.s32 [%p0], %r1;", 0xfffffff0, 255);
  atomics("atom.global.min.u32 %r2, [%p0], %r1;", 77, 0);
  atomics("red.global.or.b32 [%p0], %r1;", 0, 255);
  atomics("red.global.and.b32 [%p0], %r1;", 255, 0);
  atomics("red.global.xor.b32 [%p0], %r1;", 0, 0);
  atomics("atom.global.inc.u32 %r2, [%p0], 99;", 0, 56);
  atomics("atom.global.dec.u32 %r2, [%p0], 99;", 0, 44);
  atomics("red.global.add.f32 [%p0], %f1;", bitsOf(1.0f), bitsOf(1.0f + 255 * 128));
  atomics("atom.global.add.f64 %fd2, [%p0], %fd1;", bitsOf(1.0), bitsOf(1.0 + 255 * 128), 8);
  atomics("atom.global.cas.b32 %r2, [%p0], 5, 9;", 5, 9);
  atomics("atom.global.exch.b32 %r2, [%p0], 6;", 5, 6);
  atomics("mov.b32 %r3, 0x3c003c00;\nred.global.add.noftz.f16x2 [%p0], %r3;", 0, 0x5c005c00);
  atomics("mov.b32 %r3, 0x3f803f80;\nred.global.add.noftz.bf16x2 [%p0], %r3;", 0, 0x43804380);
  atomics("mov.f32 %f2, 0f3f800000;\nred.global.v2.f32.add [%p0], {%f2, %f2};", 0,
          bitsOf(256.0f) << 32 | bitsOf(256.0f), 8);
  atomics("mov.f32 %f2, 0f3f800000;\nred.relaxed.gpu.global.add.v4.f32 [%p0], {%f2, %f2, %f2, %f2};", 0,
          bitsOf(256.0f) << 32 | bitsOf(256.0f), 8);
}

TEST(Atomics, SharedCountersGiveEachThreadItsOwnNumber) {
  auto got =
      run(kernel(2,
                 kPlaces +
                     "setp.eq.u32 %q1, %t, 0;\n@%q1 st.shared.u32 [n], 0;\nbar.sync 0;\natom.shared.add.u32 %r1, [n], "
                     "1;\nbar.sync 0;\n"
                     "ld.shared.u32 %r2, [n];\nshl.b32 %r2, %r2, 8;\nor.b32 %r1, %r1, %r2;\nst.global.u32 [%x2], %r1;",
                 ".shared .align 4 .u32 n;"),
          {}, 64);
  std::sort(got.begin(), got.end());
  for (uint32_t t = 0; t < 64; ++t)
    EXPECT_EQ(got[t], t | 64 << 8);
}

TEST(Atomics, PlainAccessBesideThemIsARace) {
  std::string ptx = kernel(1,
                           "setp.eq.u32 %q1, %t, 0;\n@%q1 st.shared.u32 [n], 0;\nbar.sync 0;\natom.shared.add.u32 %r1, "
                           "[n], 1;\nld.shared.u32 %r2, [n];",
                           ".shared .align 4 .u32 n;");
  Machine machine(ptx);
  expectFault(machine.run({}, {64}, uint64_t{0}), FaultKind::SharedRace, ptx, "shared");
}
} // namespace
} // namespace peer::runtime::sim::test
