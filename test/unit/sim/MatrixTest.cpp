// Matrix products: mma.sync with ldmatrix and cp.async, and a tiled product in plain f32, against double precision.

#include "SimTestSupport.h"
#include "sim/exec/Half.h"

#include <cmath>
#include <random>

namespace peer::runtime::sim::test {
namespace {
/// One warp: D (16 x 8) = A (16 x K) B (K x 8) + C. A and B come through shared memory, B stored as K rows of 8.
std::string mmaKernel(const std::string &type, bool halfResult) {
  std::string body =
      "mov.u32 %r1, tile;\nshl.b32 %r2, %t, 4;\nadd.u32 %r3, %r1, %r2;\ncvt.u64.u32 %x1, %r2;\nadd.u64 %x2, %x1, %p0;\n"
      "cp.async.cg.shared.global [%r3], [%x2], 16;\nsetp.lt.u32 %q1, %t, 16;\nadd.u64 %x3, %x1, %p1;\n"
      "@%q1 cp.async.ca.shared.global [%r3+512], [%x3], 16;\ncp.async.commit_group;\ncp.async.wait_group "
      "0;\nbar.warp.sync -1;\n"
      // A: rows of 32 bytes; matrices in the order rows 0-7, rows 8-15, then the right half of each.
      "and.b32 %r4, %t, 15;\nshl.b32 %r4, %r4, 5;\nand.b32 %r5, %t, 16;\nadd.u32 %r4, %r4, %r5;\nadd.u32 %r4, %r4, "
      "%r1;\n"
      "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r4];\n"
      "and.b32 %r6, %t, 15;\nshl.b32 %r6, %r6, 4;\nadd.u32 %r6, %r6, %r1;\n"
      "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r14, %r15}, [%r6+512];\n";
  // D's place: row lane / 4, column (lane % 4) * 2, in f32.
  body += "shr.u32 %r7, %t, 2;\nand.b32 %r8, %t, 3;\nshl.b32 %r7, %r7, 5;\nshl.b32 %r8, %r8, 3;\nadd.u32 %r7, %r7, "
          "%r8;\ncvt.u64.u32 %x4, %r7;\nadd.u64 %x4, %x4, %p2;\n"
          "ld.global.v2.f32 {%f1, %f2}, [%x4];\nld.global.v2.f32 {%f3, %f4}, [%x4+256];\n";
  if (halfResult)
    body += "cvt.rn.f16x2.f32 %r20, %f2, %f1;\ncvt.rn.f16x2.f32 %r21, %f4, %f3;\n"
            "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r20, %r21}, {%r10, %r11, %r12, %r13}, {%r14, %r15}, "
            "{%r20, %r21};\n"
            "mov.b32 {%h1, %h2}, %r20;\nmov.b32 {%h3, %h4}, %r21;\ncvt.f32.f16 %f1, %h1;\ncvt.f32.f16 %f2, "
            "%h2;\ncvt.f32.f16 %f3, %h3;\ncvt.f32.f16 %f4, %h4;\n";
  else
    body += "mma.sync.aligned.m16n8k16.row.col.f32." + type + "." + type +
            ".f32 {%f1, %f2, %f3, %f4}, {%r10, %r11, %r12, %r13}, {%r14, %r15}, {%f1, %f2, %f3, %f4};\n";
  return kernel(3, body + "st.global.v2.f32 [%x4], {%f1, %f2};\nst.global.v2.f32 [%x4+256], {%f3, %f4};",
                ".shared .align 16 .b8 tile[768];");
}

void multiply(const std::string &type, bool halfResult, double tolerance) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> values(-1, 1);
  bool half = type == "f16";
  auto narrow = [&](float v) { return half ? floatToHalf(v) : floatToBfloat(v); };
  auto widen = [&](uint16_t v) { return half ? halfToFloat(v) : bfloatToFloat(v); };
  std::vector<uint16_t> a(16 * 16), b(16 * 8);
  std::vector<float> c(16 * 8);
  for (auto *each : {&a, &b})
    for (uint16_t &v : *each)
      v = narrow(values(random));
  for (float &v : c)
    v = values(random);
  Machine machine(mmaKernel(type, halfResult));
  uint64_t pa = machine.upload(a), pb = machine.upload(b), pc = machine.upload(c);
  expectClean(machine.run({}, {32}, pa, pb, pc));
  auto d = machine.download<float>(pc, 16 * 8);
  for (size_t m = 0; m < 16; ++m)
    for (size_t n = 0; n < 8; ++n) {
      double sum = c[m * 8 + n];
      for (size_t k = 0; k < 16; ++k)
        sum += double{widen(a[m * 16 + k])} * widen(b[k * 8 + n]);
      EXPECT_NEAR(d[m * 8 + n], sum, tolerance) << m << ", " << n;
    }
}
TEST(Matrix, HalfProducts) { multiply("f16", false, 1e-5); }
TEST(Matrix, BfloatProducts) { multiply("bf16", false, 1e-5); }
TEST(Matrix, HalfAccumulators) { multiply("f16", true, 1e-2); }

TEST(Matrix, Tf32Products) {
  // Fragments by the rule of the PTX ISA: a0 (g, t), a1 (g + 8, t), a2 (g, t + 4), a3 (g + 8, t + 4); b0 (t, g), b1 (t + 4, g).
  std::string body =
      "shr.u32 %r1, %t, 2;\nand.b32 %r2, %t, 3;\nmad.lo.u32 %r3, %r1, 32, 0;\nmad.lo.u32 %r3, %r2, 4, "
      "%r3;\ncvt.u64.u32 %x1, %r3;\nadd.u64 %x1, %x1, %p0;\n"
      "ld.global.b32 %r10, [%x1];\nld.global.b32 %r11, [%x1+256];\nld.global.b32 %r12, [%x1+16];\nld.global.b32 %r13, "
      "[%x1+272];\n"
      "mad.lo.u32 %r4, %r2, 32, 0;\nmad.lo.u32 %r4, %r1, 4, %r4;\ncvt.u64.u32 %x2, %r4;\nadd.u64 %x2, %x2, %p1;\n"
      "ld.global.b32 %r14, [%x2];\nld.global.b32 %r15, [%x2+128];\nmov.f32 %f1, 0f3f800000;\n"
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f2, %f3, %f4, %f5}, {%r10, %r11, %r12, %r13}, {%r14, "
      "%r15}, {%f1, %f1, %f1, %f1};\n"
      "mad.lo.u32 %r5, %r1, 32, 0;\nmad.lo.u32 %r5, %r2, 8, %r5;\ncvt.u64.u32 %x3, %r5;\nadd.u64 %x3, %x3, %p2;\n"
      "st.global.v2.f32 [%x3], {%f2, %f3};\nst.global.v2.f32 [%x3+256], {%f4, %f5};";
  Machine machine(kernel(3, body));
  std::vector<float> a(16 * 8), b(8 * 8);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(i % 17) - 8;
  for (size_t i = 0; i < b.size(); ++i)
    b[i] = static_cast<float>(i % 11) * 0.25f;
  uint64_t pa = machine.upload(a), pb = machine.upload(b), pd = machine.upload(std::vector<float>(16 * 8));
  expectClean(machine.run({}, {32}, pa, pb, pd));
  auto d = machine.download<float>(pd, 16 * 8);
  for (size_t m = 0; m < 16; ++m)
    for (size_t n = 0; n < 8; ++n) {
      double sum = 1;
      for (size_t k = 0; k < 8; ++k)
        sum += double{a[m * 8 + k]} * b[k * 8 + n];
      EXPECT_EQ(d[m * 8 + n], sum);
    }
}

TEST(Matrix, AsyncCopiesFillWithZeros) {
  Machine machine(kernel(1,
                         "cp.async.ca.shared.global [tile], [%p0], 16, 6;\ncp.async.cg.shared.global [tile+16], "
                         "[%p0+4096], 16, 0;\ncp.async.wait_all;\n"
                         "ld.shared.v4.u32 {%r1, %r2, %r3, %r4}, [tile];\nst.global.v4.u32 [%p0], {%r1, %r2, %r3, "
                         "%r4};\nld.shared.u32 %r1, [tile+16];\nst.global.u32 [%p0+16], %r1;",
                         ".shared .align 16 .b8 tile[32];"));
  uint64_t data = machine.upload(std::vector<uint32_t>(8, 0x01010101));
  expectClean(machine.run({}, {}, data));
  EXPECT_EQ(machine.download<uint32_t>(data, 6), (std::vector<uint32_t>{0x01010101, 0x0101, 0, 0, 0, 0x01010101}));
}

/// 16 x 16 tiles of A and B in shared memory, one element of C per thread.
TEST(Matrix, TiledProductAndItsSpeed) {
  constexpr uint32_t n = 64;
  std::string body =
      "mov.u32 %r1, %tid.y;\nmov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ctaid.y;\nshl.b32 %r4, %r3, 4;\nadd.u32 %r4, %r4, "
      "%r1;\nshl.b32 %r5, %r2, 4;\nadd.u32 %r5, %r5, %t;\n"
      "shl.b32 %r6, %r1, 4;\nadd.u32 %r6, %r6, %t;\nshl.b32 %r6, %r6, 2;\nmov.u32 %r7, tiles;\nadd.u32 %r6, %r6, "
      "%r7;\nmov.f32 %f1, 0f00000000;\nmov.u32 %r8, 0;\n"
      "TILE:\nadd.u32 %r9, %r8, %t;\nmad.lo.u32 %r10, %r4, 64, %r9;\nmul.wide.u32 %x1, %r10, 4;\nadd.u64 %x1, %x1, "
      "%p0;\nld.global.nc.f32 %f2, [%x1];\nst.shared.f32 [%r6], %f2;\n"
      "add.u32 %r9, %r8, %r1;\nmad.lo.u32 %r10, %r9, 64, %r5;\nmul.wide.u32 %x2, %r10, 4;\nadd.u64 %x2, %x2, "
      "%p1;\nld.global.nc.f32 %f3, [%x2];\nst.shared.f32 [%r6+1024], %f3;\n"
      "bar.sync 0;\nshl.b32 %r11, %r1, 6;\nadd.u32 %r11, %r11, %r7;\nshl.b32 %r12, %t, 2;\nadd.u32 %r12, %r12, "
      "%r7;\nmov.u32 %r13, 0;\n"
      "STEP:\nld.shared.f32 %f4, [%r11];\nld.shared.f32 %f5, [%r12+1024];\nfma.rn.f32 %f1, %f4, %f5, %f1;\nadd.u32 "
      "%r11, %r11, 4;\nadd.u32 %r12, %r12, 64;\nadd.u32 %r13, %r13, 1;\n"
      "setp.lt.u32 %q1, %r13, 16;\n@%q1 bra STEP;\nbar.sync 0;\nadd.u32 %r8, %r8, 16;\nsetp.lt.u32 %q2, %r8, 64;\n@%q2 "
      "bra TILE;\n"
      "mad.lo.u32 %r10, %r4, 64, %r5;\nmul.wide.u32 %x3, %r10, 4;\nadd.u64 %x3, %x3, %p2;\nst.global.f32 [%x3], %f1;";
  Machine machine(kernel(3, body, ".shared .align 16 .b8 tiles[2048];"));
  std::vector<float> a(n * n), b(n * n);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<float>(i * 7 % 19) - 9;
    b[i] = static_cast<float>(i * 5 % 23) * 0.125f;
  }
  uint64_t pa = machine.upload(a), pb = machine.upload(b), pc = machine.reserve(n * n * 4);
  LaunchResult result = machine.run({n / 16, n / 16}, {16, 16}, pa, pb, pc);
  expectClean(result);
  auto c = machine.download<float>(pc, n * n);
  for (size_t m = 0; m < n; ++m)
    for (size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (size_t k = 0; k < n; ++k)
        sum += double{a[m * n + k]} * b[k * n + j];
      ASSERT_NEAR(c[m * n + j], sum, 1e-2);
    }
  RecordProperty("laneOperationsPerSecond", std::to_string(result.laneOperationsPerSecond()));
  std::printf("%.0f million lane-operations per second\n", result.laneOperationsPerSecond() * 1e-6);
}
} // namespace
} // namespace peer::runtime::sim::test
