// Products by cuBLASLt: the order of operands, transposes and leading dimensions, beside plain loops; and where there is no library.
#include "CudaTestSupport.h"

#include "device/gpu/DeviceCall.h"
#include "device/gpu/Mgpu.h"

#include <dlfcn.h>

namespace peer::runtime::test {

namespace {
class ProductTest : public CudaTest {
protected:
  ProductTest() : products({{"PEER_CUBLASLT_LIBRARY", PEER_FAKE_CUBLASLT}}) {}

  static unsigned heuristics() {
    void *library = dlopen(PEER_FAKE_CUBLASLT, RTLD_NOW);
    return reinterpret_cast<unsigned (*)()>(dlsym(library, "fakeCublasLtHeuristics"))();
  }
  /// Small whole numbers: sums are exact in any order.
  static std::vector<float> values(int64_t count, int seed) {
    std::vector<float> made(static_cast<size_t>(count));
    for (size_t i = 0; i < made.size(); ++i)
      made[i] = static_cast<float>(static_cast<int>(i * 7 + static_cast<size_t>(seed)) % 11 - 5);
    return made;
  }

  Environment products;
};

size_t at(int64_t row, int64_t column, int64_t ld) { return static_cast<size_t>(row * ld + column); }

TEST_F(ProductTest, AllTransposesAndLeadingDimensions) {
  std::shared_ptr<GpuDevice> device = open();
  for (bool transA : {false, true})
    for (bool transB : {false, true})
      for (float beta : {0.0f, 2.0f}) {
        MatrixProduct p{.transA = transA, .transB = transB, .m = 3, .n = 5, .k = 4, .alpha = 0.5f, .beta = beta};
        int64_t rowsA = transA ? p.k : p.m, rowsB = transB ? p.n : p.k;
        p.lda = (transA ? p.m : p.k) + 1, p.ldb = (transB ? p.k : p.n) + 2, p.ldc = p.n + 3;
        std::vector<float> a = values(rowsA * p.lda, 1), b = values(rowsB * p.ldb, 2), c = values(p.m * p.ldc, 3);
        p.a = upload(*device, a), p.b = upload(*device, b), p.c = upload(*device, c);
        Result<bool> done = device->matmul(p);
        ASSERT_TRUE(done.ok() && *done) << done.message();
        for (int64_t i = 0; i < p.m; ++i)
          for (int64_t j = 0; j < p.n; ++j) {
            float sum = 0;
            for (int64_t l = 0; l < p.k; ++l)
              sum += a[transA ? at(l, i, p.lda) : at(i, l, p.lda)] * b[transB ? at(j, l, p.ldb) : at(l, j, p.ldb)];
            float &expected = c[at(i, j, p.ldc)];
            expected = 0.5f * sum + beta * expected;
          }
        EXPECT_EQ(download<float>(*device, p.c, c.size()), c) << transA << transB << beta;
      }
}

TEST_F(ProductTest, OneHeuristicForEachShape) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = upload(*device, values(256, 1)), y = reserve(*device, 1024);
  MatrixProduct p{.m = 8, .n = 8, .k = 8, .a = x, .b = x, .c = y, .lda = 8, .ldb = 8, .ldc = 8};
  unsigned before = heuristics();
  auto multiply = [&] {
    Result<bool> done = device->matmul(p);
    EXPECT_TRUE(done.ok() && *done) << done.message();
  };
  for (int i = 0; i < 5; ++i)
    multiply();
  p.alpha = 3;
  multiply();
  EXPECT_EQ(heuristics() - before, 1u);
  p.n = 4;
  multiply();
  EXPECT_EQ(heuristics() - before, 2u);
  // The library is told of operands that are less aligned than memory from the driver.
  p.a += 4;
  multiply();
  multiply();
  EXPECT_EQ(heuristics() - before, 3u);
  p.b += 8;
  multiply();
  p.c += 16;
  multiply();
  EXPECT_EQ(heuristics() - before, 5u);
  ok(device->synchronize());
}

TEST_F(ProductTest, WorkspaceIsAllocatedOnce) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = upload(*device, values(64, 1)), y = reserve(*device, 256);
  MatrixProduct p{.m = 8, .n = 8, .k = 8, .a = x, .b = x, .c = y, .lda = 8, .ldb = 8, .ldc = 8};
  uint64_t before = counts().allocations;
  for (int64_t n = 1; n <= 8; ++n) {
    p.n = n;
    EXPECT_TRUE(*device->matmul(p));
  }
  EXPECT_EQ(counts().allocations - before, 1u);
  ok(device->synchronize());
}

TEST_F(ProductTest, NoMemoryForTheWorkspace) {
  Environment little({{"FAKE_CUDA_MEMORY", "100000"}});
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = upload(*device, std::vector<float>(4, 2.0f)), y = reserve(*device, 16);
  EXPECT_TRUE(*device->matmul({.m = 2, .n = 2, .k = 2, .a = x, .b = x, .c = y, .lda = 2, .ldb = 2, .ldc = 2}));
  EXPECT_EQ(download<float>(*device, y, 4), std::vector<float>(4, 8.0f));
}

TEST_F(ProductTest, WhatTheLibraryDoesNotDo) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = reserve(*device, 8000), y = reserve(*device, 4);
  MatrixProduct p{.m = 1, .n = 1, .k = 1000, .a = x, .b = x, .c = y, .lda = 1000, .ldb = 1, .ldc = 1};
  EXPECT_FALSE(*device->matmul(p)) << "no algorithm";
  p.k = 0;
  EXPECT_FALSE(*device->matmul(p)) << "nothing to multiply";
  p.m = 0;
  EXPECT_TRUE(*device->matmul(p)) << "nothing to compute";
}

TEST_F(ProductTest, FailsWithTheShape) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = reserve(*device, 8000);
  Result<bool> done = device->matmul({.m = 2, .n = 3, .k = 4, .a = x, .b = x, .c = x, .lda = 1, .ldb = 3, .ldc = 3});
  EXPECT_EQ(done.status().message(), "cuBLASLt failed with status 7 at a product of 2 x 3 x 4");
}

TEST_F(ProductTest, CompiledCodeAsksForThem) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress a = upload(*device, std::vector<float>{1, 2, 3, 4, 5, 6}), c = reserve(*device, 16);
  DeviceHeap heap(*device);
  LoadedModules modules(*device, {});
  {
    DeviceCall call(*device, heap, modules);
    auto pointer = [](DeviceAddress address) { return reinterpret_cast<void *>(address); };
    // A is 2 x 3, B is A transposed.
    EXPECT_EQ(peer_rt_matmul(nullptr, 0, 1, 2, 2, 3, 1, pointer(a), 3, pointer(a), 3, 0, pointer(c), 2), 1);
    EXPECT_EQ(peer_rt_matmul(nullptr, 0, 1, 2, 2, 0, 1, pointer(a), 3, pointer(a), 3, 0, pointer(c), 2), 0);
    ok(call.status());
  }
  EXPECT_EQ(download<float>(*device, c, 4), (std::vector<float>{14, 32, 32, 77}));
}

TEST_F(CudaTest, NoLibraryOfProducts) {
  std::shared_ptr<GpuDevice> device = open();
  Result<bool> done = device->matmul({.m = 1, .n = 1, .k = 1});
  EXPECT_TRUE(done.ok()) << done.message();
  EXPECT_FALSE(*done);
}

TEST_F(CudaTest, LibraryOfProductsThatIsNone) {
  Environment wrong({{"PEER_CUBLASLT_LIBRARY", PEER_FAKE_CUDA}});
  std::shared_ptr<GpuDevice> device = open();
  EXPECT_EQ(device->matmul({.m = 1, .n = 1, .k = 1}).status().message(),
            "PEER_CUBLASLT_LIBRARY names " PEER_FAKE_CUDA ", which is no usable cuBLASLt");
}
} // namespace

} // namespace peer::runtime::test
