// Modules and launches: parameters, shared memory, machine code, and kernels that fail.
#include "CudaTestSupport.h"

namespace peer::runtime::test {

namespace {
/// Writes each parameter, widened to 64 bits, to out[0..]: kernel `all`(u64 out, u8, u16, u32, u64, f32, f64).
std::string allSizesPtx() {
  return header() + R"(
.visible .entry all(.param .u64 out, .param .u8 a, .param .u16 b, .param .u32 c, .param .u64 d, .param .f32 e, .param .f64 f) {
  .reg .b64 %x<8>;
  .reg .b32 %r<4>;
  .reg .b16 %h<4>;
  ld.param.u64 %x1, [out];
  ld.param.u8 %h1, [a];
  cvt.u64.u16 %x2, %h1;
  st.global.u64 [%x1], %x2;
  ld.param.u16 %h2, [b];
  cvt.u64.u16 %x3, %h2;
  st.global.u64 [%x1+8], %x3;
  ld.param.u32 %r1, [c];
  cvt.u64.u32 %x4, %r1;
  st.global.u64 [%x1+16], %x4;
  ld.param.u64 %x5, [d];
  st.global.u64 [%x1+24], %x5;
  ld.param.b32 %r2, [e];
  cvt.u64.u32 %x6, %r2;
  st.global.u64 [%x1+32], %x6;
  ld.param.b64 %x7, [f];
  st.global.u64 [%x1+40], %x7;
  ret;
}
)";
}

/// Writes `value` to the last of `words` words of dynamic shared memory, behind 1024 declared bytes, and back to out[0].
std::string sharedPtx() {
  return header() + R"(
.extern .shared .align 16 .b8 dynamic[];
.visible .entry shared(.param .u64 out, .param .u32 words, .param .u32 value) {
  .shared .align 16 .b8 declared[1024];
  .reg .b64 %x;
  .reg .b32 %r<7>;
  ld.param.u64 %x, [out];
  ld.param.u32 %r1, [words];
  ld.param.u32 %r2, [value];
  mov.u32 %r3, dynamic;
  shl.b32 %r4, %r1, 2;
  add.u32 %r5, %r3, %r4;
  st.shared.u32 [%r5+-4], %r2;
  st.shared.u32 [declared+1020], %r2;
  ld.shared.u32 %r6, [%r5+-4];
  st.global.u32 [%x], %r6;
  ret;
}
)";
}

TEST_F(CudaTest, ParametersOfAllSizes) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *all = load(*device, allSizesPtx(), "all");
  DeviceAddress out = reserve(*device, 48);
  ok(launch(*device, all, {}, out, uint8_t{0x81}, uint16_t{0x8283}, uint32_t{0x84858687}, uint64_t{0x88898a8b8c8d8e8f},
            1.5f, -2.25));
  EXPECT_EQ(download<uint64_t>(*device, out, 6),
            (std::vector<uint64_t>{0x81, 0x8283, 0x84858687, 0x88898a8b8c8d8e8f, std::bit_cast<uint32_t>(1.5f),
                                   std::bit_cast<uint64_t>(-2.25)}));
}

TEST_F(CudaTest, ParametersAreCopied) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  DeviceAddress x = upload(*device, std::vector<float>(300, 1.0f));
  // launch() passes its own arguments, which are gone when the kernel runs.
  for (int i = 0; i < 3; ++i)
    ok(launch(*device, scale, {{3, 1, 1}, {128, 1, 1}}, x, 300u, 2.0f, static_cast<float>(i)));
  EXPECT_EQ(download<float>(*device, x, 300), std::vector<float>(300, 12.0f));
}

TEST_F(CudaTest, WrongNumberOfParameters) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  EXPECT_EQ(launch(*device, scale, kOneWarp, DeviceAddress{1}, 1u).message(),
            "kernel 'scale' cannot be launched with 1 x 1 x 1 blocks of 32 x 1 x 1 threads and 0 bytes of dynamic "
            "shared memory: it takes 4 parameters, got 2");
}

TEST_F(CudaTest, TwoModulesWithOneName) {
  std::shared_ptr<GpuDevice> device = open();
  std::string other = scalePtx();
  other.replace(other.find("fma.rn.f32 %f3, %f3, %f1, %f2"), 29, "sub.rn.f32 %f3, %f3, %f1     ");
  DeviceFunction *first = load(*device, scalePtx(), "scale"), *second = load(*device, other, "scale");
  ASSERT_NE(first, second);
  DeviceAddress x = upload(*device, std::vector<float>(32, 1.0f));
  ok(launch(*device, first, kOneWarp, x, 32u, 8.0f, 0.0f));
  ok(launch(*device, second, kOneWarp, x, 32u, 3.0f, 0.0f));
  EXPECT_EQ(download<float>(*device, x, 32), std::vector<float>(32, 5.0f));
}

TEST_F(CudaTest, UnloadedModules) {
  std::shared_ptr<GpuDevice> device = open();
  std::string ptx = scalePtx();
  uint64_t before = counts().alive;
  Result<DeviceModule *> module = device->loadModule({ptx, {}});
  ASSERT_TRUE(module.ok()) << module.message();
  EXPECT_EQ(counts().alive, before + 1);
  Result<DeviceFunction *> once = device->function(*module, "scale"), again = device->function(*module, "scale");
  ASSERT_TRUE(once.ok() && again.ok());
  EXPECT_EQ(*once, *again);
  EXPECT_EQ(device->function(*module, "skale").message(), "no kernel 'skale' in the module");
  // What was launched runs to its end first.
  DeviceAddress x = upload(*device, std::vector<float>(32, 1.0f));
  ok(launch(*device, *once, kOneWarp, x, 32u, 8.0f, 0.0f));
  device->unloadModule(*module);
  EXPECT_EQ(counts().alive, before + 3); // x, a pinned buffer and its event
  EXPECT_EQ(download<float>(*device, x, 32), std::vector<float>(32, 8.0f));
}

TEST_F(CudaTest, MachineCodeWhereItFits) {
  std::string machine = scalePtx(), ptx = header() + ".visible .entry other() { ret; }\n";
  std::vector<std::byte> fits = cubin(90, machine), another = cubin(80, machine);
  std::shared_ptr<GpuDevice> device = open();
  Result<DeviceModule *> fast = device->loadModule({ptx, fits}), compiled = device->loadModule({ptx, another});
  ASSERT_TRUE(fast.ok()) << fast.message();
  ASSERT_TRUE(compiled.ok()) << compiled.message();
  EXPECT_TRUE(device->function(*fast, "scale").ok());
  EXPECT_TRUE(device->function(*compiled, "other").ok());
  Result<DeviceModule *> neither = device->loadModule({{}, another});
  EXPECT_EQ(neither.message(),
            "the NVIDIA driver does not load the artifact's machine code, and it holds no PTX: "
            "CUDA_ERROR_NO_BINARY_FOR_GPU (no kernel image is available for execution on the device)");
}

TEST_F(CudaTest, WhatTheCompilerOfTheDriverSays) {
  std::shared_ptr<GpuDevice> device = open();
  std::string ptx = header() + ".visible .entry k() {\n  frobnicate.u32;\n  ret;\n}\n";
  Result<DeviceModule *> module = device->loadModule({ptx, {}});
  ASSERT_FALSE(module.ok());
  EXPECT_TRUE(
      module.message().starts_with("the NVIDIA driver does not load the artifact's PTX: CUDA_ERROR_INVALID_PTX "
                                   "(a PTX JIT compilation failed): PTX line 5: unknown instruction 'frobnicate.u32'"))
      << module.message();
}

TEST_F(CudaTest, SharedMemoryBeyondWhatIsUsual) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *shared = load(*device, sharedPtx(), "shared");
  DeviceAddress out = reserve(*device, 4);
  for (uint32_t bytes : {4u, 47u * 1024, 47u * 1024 + 4, 100u * 1024, 226u * 1024, 64u * 1024}) {
    ok(launch(*device, shared, {{1, 1, 1}, {1, 1, 1}, bytes}, out, bytes / 4, bytes));
    EXPECT_EQ(download<uint32_t>(*device, out, 1), std::vector<uint32_t>{bytes});
  }
  EXPECT_EQ(launch(*device, shared, {{1, 1, 1}, {1, 1, 1}, 226 * 1024 + 4}, out, 1u, 1u).message(),
            "kernel 'shared' needs 232452 bytes of shared memory in a block, and the GPU (Simulated GPU 0) has 232448");
}

TEST_F(CudaTest, LaunchesThatTheDriverRefuses) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  auto message = [&](const LaunchShape &shape) {
    return launch(*device, scale, shape, DeviceAddress{0}, 0u, 0.f, 0.f).message();
  };
  const std::string refused = "kernel 'scale' cannot be launched with ";
  EXPECT_EQ(message({{1, 1, 1}, {2048, 1, 1}}),
            refused + "1 x 1 x 1 blocks of 2048 x 1 x 1 threads and 0 bytes of "
                      "dynamic shared memory: CUDA_ERROR_INVALID_VALUE (invalid argument)");
  EXPECT_EQ(message({{uint64_t{1} << 32, 1, 1}, {1, 1, 1}}),
            refused +
                "4294967296 x 1 x 1 blocks of 1 x 1 x 1 threads and 0 bytes of dynamic shared memory: 4294967296 is "
                "no size of a launch");
  EXPECT_TRUE(message({{0, 1, 1}, {1, 1, 1}}).ends_with("0 is no size of a launch"));
  Environment refuse({{"FAKE_CUDA_REFUSE", "scale"}});
  device = open();
  scale = load(*device, scalePtx(), "scale");
  EXPECT_TRUE(
      message(kOneWarp).ends_with("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (too many resources requested for launch)"));
}

TEST_F(CudaTest, KernelThatFails) {
  Environment quiet({{"FAKE_CUDA_QUIET", "1"}});
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  DeviceAddress x = reserve(*device, 4);
  ok(device->fill(x, 0, 4, 1));
  ok(launch(*device, scale, kOneWarp, x, 1u, 2.0f, 0.0f));
  ok(device->synchronize());
  ok(launch(*device, scale, kOneWarp, x, 2u, 2.0f, 0.0f));
  const std::string failed =
      "kernel 'scale' failed: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)";
  EXPECT_EQ(device->synchronize().message(), failed);
  // The GPU is of no use any more.
  EXPECT_EQ(device->allocate(4).status().message(), failed);
  EXPECT_EQ(launch(*device, scale, kOneWarp, x, 1u, 2.0f, 0.0f).message(), failed);
}

TEST_F(CudaTest, WhichOfManyKernelsFailed) {
  std::string second = scalePtx();
  second.replace(second.find("scale("), 5, "other");
  Environment fail({{"FAKE_CUDA_FAIL", "other"}});
  auto run = [&] {
    std::shared_ptr<GpuDevice> device = open();
    DeviceFunction *scale = load(*device, scalePtx(), "scale"), *other = load(*device, second, "other");
    DeviceAddress x = upload(*device, std::vector<float>(32, 1.0f));
    Status status = launch(*device, scale, kOneWarp, x, 32u, 2.0f, 0.0f);
    if (status.ok())
      status = launch(*device, other, kOneWarp, x, 32u, 2.0f, 0.0f);
    return status.ok() ? device->synchronize().message() : status.message();
  };
  EXPECT_EQ(run(), "one of 2 kernels failed (kernel 'other', kernel 'scale'; PEER_CUDA_BLOCKING=1 tells which): "
                   "CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure)");
  Environment blocking({{"PEER_CUDA_BLOCKING", "1"}});
  EXPECT_EQ(run(), "kernel 'other' failed: CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure)");
}
} // namespace

} // namespace peer::runtime::test
