// Graphs and marks through the interface of devices.
#include "CudaTestSupport.h"

namespace peer::runtime::test {

namespace {
TEST_F(CudaTest, GraphsRunAgain) {
  Environment products({{"PEER_CUBLASLT_LIBRARY", PEER_FAKE_CUBLASLT}});
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  DeviceAddress x = upload(*device, std::vector<float>(16, 1.0f)), y = reserve(*device, 64), z = reserve(*device, 64);
  DeviceGraph *graph = capture(*device, [&] {
    ok(launch(*device, scale, kOneWarp, x, 16u, 2.0f, 1.0f)); // x = 2 x + 1
    ok(device->copy(y, x, 64));
    ok(device->fill(y, 0x3f800000, 4, 4)); // the first row of y = 1
    Result<bool> product =
        device->matmul({.m = 4, .n = 4, .k = 4, .a = y, .b = x, .c = z, .lda = 4, .ldb = 4, .ldc = 4});
    EXPECT_TRUE(product.ok() && *product) << product.message();
  });
  // Recorded, not done.
  EXPECT_EQ(download<float>(*device, x, 16), std::vector<float>(16, 1.0f));

  cuda::fake::Counts before = counts();
  float value = 1;
  for (int round = 0; round < 3; ++round) {
    ok(device->launch(graph));
    value = 2 * value + 1;
    std::vector<float> expected(16, 4 * value * value);
    std::fill_n(expected.begin(), 4, 4 * value);
    EXPECT_EQ(download<float>(*device, x, 16), std::vector<float>(16, value));
    EXPECT_EQ(download<float>(*device, z, 16), expected);
  }
  EXPECT_EQ(counts().graphLaunches - before.graphLaunches, 3u);
  EXPECT_EQ(counts().graphKernels - before.graphKernels, 3u);
  EXPECT_EQ(counts().launches, before.launches);
  device->destroy(graph);
}

TEST_F(CudaTest, InputsOfAGraphMayChange) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  DeviceAddress x = upload(*device, std::vector<float>(32, 1.0f));
  DeviceGraph *graph = capture(*device, [&] { ok(launch(*device, scale, kOneWarp, x, 32u, 3.0f, 0.0f)); });
  for (float value : {5.0f, 7.0f}) {
    std::vector<float> input(32, value);
    ok(device->copyIn(x, input.data(), 128));
    ok(device->launch(graph));
    EXPECT_EQ(download<float>(*device, x, 32), std::vector<float>(32, 3 * value));
  }
}

TEST_F(CudaTest, CopiesOfAGraph) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  DeviceAddress x = reserve(*device, 128);
  Result<std::byte *> host = device->allocateHost(256);
  ASSERT_TRUE(host.ok()) << host.message();
  auto *in = reinterpret_cast<float *>(*host), *out = in + 32;
  DeviceGraph *graph = capture(*device, [&] {
    ok(device->send(x, *host, 128));
    ok(launch(*device, scale, kOneWarp, x, 32u, 3.0f, 1.0f));
    ok(device->fetch(*host + 128, x, 128));
  });
  for (float value : {5.0f, 7.0f}) {
    cuda::fake::Counts before = counts();
    std::fill_n(in, 32, value);
    ok(device->launch(graph));
    ok(device->synchronize());
    EXPECT_EQ(std::vector<float>(out, out + 32), std::vector<float>(32, 3 * value + 1));
    EXPECT_EQ(counts().copiesIn + counts().copiesOut, before.copiesIn + before.copiesOut);
    EXPECT_EQ(counts().bytesIn - before.bytesIn, 128u);
    EXPECT_EQ(counts().bytesOut - before.bytesOut, 128u);
  }
  // What a graph copies from must live as long as it does; the real driver would read memory of somebody else.
  Environment quiet({{"FAKE_CUDA_QUIET", "1"}});
  ok(device->freeHost(*host));
  ok(device->launch(graph));
  EXPECT_FALSE(device->synchronize().ok());
}

TEST_F(CudaTest, MemoryMayBeAllocatedDuringACapture) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = 0;
  DeviceGraph *graph = capture(*device, [&] {
    x = reserve(*device, 64);
    ok(device->fill(x, 7, 1, 64));
  });
  ok(device->launch(graph));
  EXPECT_EQ(download<uint8_t>(*device, x, 64), std::vector<uint8_t>(64, 7));
}

TEST_F(CudaTest, WaitingBreaksACapture) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = reserve(*device, 64);
  ok(device->beginCapture());
  EXPECT_EQ(device->synchronize().message(), "CUDA: waiting for the GPU: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED "
                                             "(operation not permitted when stream is capturing)");
  EXPECT_FALSE(device->fill(x, 7, 1, 64).ok());
  Result<DeviceGraph *> graph = device->endCapture();
  EXPECT_EQ(graph.message(),
            "CUDA: a graph cannot be recorded: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED (operation failed "
            "due to a previous error during capture)");
  // And then all is as before.
  ok(device->fill(x, 7, 1, 64));
  EXPECT_EQ(download<uint8_t>(*device, x, 64), std::vector<uint8_t>(64, 7));
}

TEST_F(CudaTest, KernelOfAGraphThatFails) {
  Environment quiet({{"FAKE_CUDA_QUIET", "1"}});
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  DeviceAddress x = upload(*device, std::vector<float>(32, 1.0f));
  DeviceGraph *graph = capture(*device, [&] { ok(launch(*device, scale, kOneWarp, x, 32u, 3.0f, 0.0f)); });
  ok(device->free(x));
  ok(device->launch(graph));
  const std::string failed =
      "kernel 'scale' failed: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)";
  EXPECT_EQ(device->synchronize().message(), failed);
  device->destroy(graph);
  EXPECT_EQ(device->synchronize().message(), failed);
}

TEST_F(CudaTest, NoGraphsWhereEachKernelIsWaitedFor) {
  Environment blocking({{"PEER_CUDA_BLOCKING", "1"}});
  EXPECT_FALSE(open()->capturesGraphs());
}

TEST_F(CudaTest, MarksAreInOrder) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceFunction *scale = load(*device, scalePtx(), "scale");
  DeviceAddress x = upload(*device, std::vector<float>(32, 1.0f));
  uint64_t alive = 0;
  for (int round = 0; round < 2; ++round) {
    for (int64_t kernel : {0, 1, -1}) {
      ok(device->mark(kernel));
      ok(launch(*device, scale, kOneWarp, x, 32u, 1.0f, 0.0f));
    }
    Result<std::vector<ProfileMark>> marks = device->takeMarks();
    ASSERT_TRUE(marks.ok()) << marks.message();
    ASSERT_EQ(marks->size(), 3u);
    EXPECT_EQ((*marks)[0].kernel, 0);
    EXPECT_EQ((*marks)[1].kernel, 1);
    EXPECT_EQ((*marks)[2].kernel, -1);
    // A simulated kernel takes more than the clock's grain.
    EXPECT_LT((*marks)[0].nanoseconds, (*marks)[1].nanoseconds);
    EXPECT_LT((*marks)[1].nanoseconds, (*marks)[2].nanoseconds);
    if (round == 0)
      alive = counts().alive;
  }
  EXPECT_EQ(counts().alive, alive) << "events are used again";
  EXPECT_TRUE(device->takeMarks()->empty());
}
} // namespace

} // namespace peer::runtime::test
