// The driver that the other tests run on: that it is as lazy and as strict as they rely on.
#include "CudaTestSupport.h"

#include "device/cuda/CudaDriver.h"

#include <cstring>

namespace peer::runtime::test {

namespace {
using namespace cuda;

class FakeDriverTest : public CudaTest {
protected:
  void SetUp() override {
    Result<DriverApi> opened = openDriver();
    ASSERT_TRUE(opened.ok()) << opened.message();
    driver = *opened;
    Context context = nullptr;
    ASSERT_EQ(driver.primaryCtxRetain(&context, 0), kSuccess);
    ASSERT_EQ(driver.ctxSetCurrent(context), kSuccess);
    ASSERT_EQ(driver.streamCreate(&stream, kStreamNonBlocking), kSuccess);
    ASSERT_EQ(driver.memAllocHost(&pinned, 64), kSuccess);
    ASSERT_EQ(driver.memAlloc(&memory, 64), kSuccess);
  }
  void TearDown() override { EXPECT_EQ(driver.primaryCtxRelease(0), kSuccess); }

  Function load(const std::string &ptx, const char *kernel) {
    Module module = nullptr;
    Function function = nullptr;
    EXPECT_EQ(driver.moduleLoadDataEx(&module, ptx.c_str(), 0, nullptr, nullptr), kSuccess);
    EXPECT_EQ(driver.moduleGetFunction(&function, module, kernel), kSuccess);
    return function;
  }
  Code launch(Function function, unsigned shared = 0) {
    unsigned count = 0;
    float factor = 0, bias = 0;
    void *parameters[] = {&memory, &count, &factor, &bias};
    return driver.launchKernel(function, 1, 1, 1, 32, 1, 1, shared, stream, parameters, nullptr);
  }

  DriverApi driver;
  Stream stream = nullptr;
  void *pinned = nullptr;
  Pointer memory = 0;
};

TEST_F(FakeDriverTest, CopiesReadPinnedMemoryLate) {
  auto *words = static_cast<uint32_t *>(pinned);
  words[0] = 1;
  EXPECT_EQ(driver.memcpyHtoDAsync(memory, words, 4, stream), kSuccess);
  words[0] = 2;
  EXPECT_EQ(driver.memcpyDtoHAsync(words + 1, memory, 4, stream), kSuccess);
  words[1] = 0;
  EXPECT_EQ(driver.streamSynchronize(stream), kSuccess);
  EXPECT_EQ(words[1], 2u);
}

TEST_F(FakeDriverTest, PageableMemoryIsRefused) {
  Environment quiet({{"FAKE_CUDA_QUIET", "1"}});
  uint32_t word = 0;
  EXPECT_EQ(driver.memcpyHtoDAsync(memory, &word, 4, stream), kInvalidValue);
  EXPECT_EQ(driver.memcpyDtoHAsync(&word, memory, 4, stream), kInvalidValue);
  EXPECT_EQ(driver.memcpyHtoDAsync(memory, static_cast<char *>(pinned) + 61, 4, stream), kInvalidValue);
}

TEST_F(FakeDriverTest, HandlesThatAreNone) {
  auto bad = [](auto handle) { return reinterpret_cast<decltype(handle)>(0x10); };
  EXPECT_EQ(driver.streamSynchronize(bad(stream)), kInvalidHandle);
  EXPECT_EQ(driver.memsetD8Async(memory, 0, 1, nullptr), kInvalidHandle);
  EXPECT_EQ(driver.moduleUnload(bad(Module{})), kInvalidHandle);
  EXPECT_EQ(launch(bad(Function{})), kInvalidHandle);
  EXPECT_EQ(driver.eventRecord(bad(Event{}), stream), kInvalidHandle);
  EXPECT_EQ(driver.graphLaunch(bad(GraphExec{}), stream), kInvalidHandle);
  EXPECT_EQ(driver.streamDestroy(stream), kSuccess);
  EXPECT_EQ(driver.streamDestroy(stream), kInvalidHandle);
  EXPECT_EQ(driver.memFree(memory + 1), kInvalidValue);
  EXPECT_EQ(driver.memFree(memory), kSuccess);
  EXPECT_EQ(driver.memFree(memory), kInvalidValue);
  EXPECT_EQ(driver.ctxSetCurrent(bad(Context{})), kInvalidContext);
}

TEST_F(FakeDriverTest, WithoutAContext) {
  EXPECT_EQ(driver.ctxSetCurrent(nullptr), kSuccess);
  EXPECT_EQ(driver.streamSynchronize(stream), kInvalidContext);
}

TEST_F(FakeDriverTest, DynamicSharedMemoryMustBeAskedFor) {
  Function scale = load(scalePtx(), "scale");
  EXPECT_EQ(launch(scale, 48 * 1024), kSuccess);
  EXPECT_EQ(launch(scale, 48 * 1024 + 1), kInvalidValue);
  EXPECT_EQ(driver.funcSetAttribute(scale, kFunctionMaxDynamicShared, 228 * 1024), kInvalidValue);
  EXPECT_EQ(driver.funcSetAttribute(scale, kFunctionMaxDynamicShared, 100 * 1024), kSuccess);
  EXPECT_EQ(launch(scale, 100 * 1024), kSuccess);
  EXPECT_EQ(driver.streamSynchronize(stream), kSuccess);
}

TEST_F(FakeDriverTest, WhatACaptureForbids) {
  Graph graph = nullptr;
  Pointer other = 0;
  for (int mode : {kCaptureGlobal, kCaptureThreadLocal}) {
    EXPECT_EQ(driver.streamBeginCapture(stream, mode), kSuccess);
    EXPECT_EQ(driver.memAlloc(&other, 4), kCaptureUnsupported);
    EXPECT_EQ(driver.memsetD8Async(memory, 0, 1, stream), kCaptureInvalidated);
    EXPECT_EQ(driver.streamEndCapture(stream, &graph), kCaptureInvalidated);
  }
  EXPECT_EQ(driver.streamBeginCapture(stream, kCaptureRelaxed), kSuccess);
  EXPECT_EQ(driver.streamBeginCapture(stream, kCaptureRelaxed), kInvalidValue);
  EXPECT_EQ(driver.memAlloc(&other, 4), kSuccess);
  Event event = nullptr;
  EXPECT_EQ(driver.eventCreate(&event, kEventDefault), kSuccess);
  EXPECT_EQ(driver.eventRecord(event, stream), kSuccess);
  EXPECT_EQ(driver.eventSynchronize(event), kCapturedEvent);
  EXPECT_EQ(driver.streamEndCapture(stream, &graph), kSuccess);
  EXPECT_EQ(driver.streamEndCapture(stream, &graph), kCaptureUnmatched);
}

TEST_F(FakeDriverTest, EventsWaitForTheStream) {
  Event first = nullptr, second = nullptr, silent = nullptr;
  float milliseconds = 0;
  for (Event *event : {&first, &second})
    EXPECT_EQ(driver.eventCreate(event, kEventDefault), kSuccess);
  EXPECT_EQ(driver.eventCreate(&silent, kEventDisableTiming), kSuccess);
  EXPECT_EQ(driver.eventElapsedTime(&milliseconds, first, second), kInvalidHandle) << "never recorded";
  for (Event event : {first, second, silent})
    EXPECT_EQ(driver.eventRecord(event, stream), kSuccess);
  EXPECT_EQ(driver.eventElapsedTime(&milliseconds, first, second), kNotReady);
  EXPECT_EQ(driver.eventSynchronize(second), kSuccess);
  EXPECT_EQ(driver.eventElapsedTime(&milliseconds, first, second), kSuccess);
  EXPECT_EQ(driver.eventElapsedTime(&milliseconds, first, silent), kInvalidHandle);
}

TEST_F(FakeDriverTest, MemoryThatWasFreedMeanwhile) {
  Environment quiet({{"FAKE_CUDA_QUIET", "1"}});
  // The graph outlives what it fills.
  Graph graph = nullptr;
  GraphExec exec = nullptr;
  EXPECT_EQ(driver.streamBeginCapture(stream, kCaptureRelaxed), kSuccess);
  EXPECT_EQ(driver.memsetD8Async(memory, 0, 64, stream), kSuccess);
  EXPECT_EQ(driver.streamEndCapture(stream, &graph), kSuccess);
  EXPECT_EQ(driver.graphInstantiate(&exec, graph, 0), kSuccess);
  EXPECT_EQ(driver.memFree(memory), kSuccess);
  EXPECT_EQ(driver.graphLaunch(exec, stream), kSuccess);
  EXPECT_EQ(driver.streamSynchronize(stream), kIllegalAddress);
  EXPECT_EQ(driver.streamSynchronize(stream), kIllegalAddress) << "it stays";
}

TEST_F(FakeDriverTest, ModulesThatItDoesNotTake) {
  auto take = [&](const char *image) {
    Module module = nullptr;
    return driver.moduleLoadDataEx(&module, image, 0, nullptr, nullptr);
  };
  const std::string body = ".visible .entry k() { ret; }\n";
  EXPECT_EQ(take((header("9.0") + body).c_str()), kSuccess);
  EXPECT_EQ(take((header("9.1") + body).c_str()), kUnsupportedPtxVersion);
  EXPECT_EQ(take((header("9.0", "sm_100") + body).c_str()), kInvalidPtx);
  EXPECT_EQ(take((header("9.0", "sm_80a") + body).c_str()), kInvalidPtx);
  EXPECT_EQ(take(body.c_str()), kInvalidPtx);
  auto image = [](const std::vector<std::byte> &bytes) { return reinterpret_cast<const char *>(bytes.data()); };
  EXPECT_EQ(take(image(cubin(90, header() + body))), kSuccess);
  EXPECT_EQ(take(image(cubin(80, header() + body))), kNoBinaryForGpu);
  EXPECT_EQ(take(image(cubin(90, "\xaf\x07"))), kNoBinaryForGpu) << "machine code in truth";
  std::vector<std::byte> other = cubin(90, body);
  other[18] = std::byte{62}; // a program of the host
  EXPECT_EQ(take(image(other)), kInvalidImage);
}
} // namespace

} // namespace peer::runtime::test
