// Memory of the device: copies through pinned buffers that are used again, fills, and what happens when there is not enough.
#include "CudaTestSupport.h"

#include "device/cuda/CudaStaging.h"

#include <numeric>

namespace peer::runtime::test {

namespace {
constexpr size_t kPiece = cuda::Staging::kBytes;

std::vector<uint32_t> pattern(size_t count, uint32_t seed) {
  std::vector<uint32_t> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<uint32_t>(i) * 2654435761u + seed;
  return values;
}

TEST_F(CudaTest, CopiesOfAllSizes) {
  std::shared_ptr<GpuDevice> device = open();
  for (size_t bytes :
       {size_t{1}, size_t{3}, size_t{4096}, kPiece - 1, kPiece, kPiece + 1, 2 * kPiece, 5 * kPiece + 7}) {
    std::vector<uint32_t> words = pattern(bytes / 4 + 1, 1);
    auto *from = reinterpret_cast<const char *>(words.data());
    std::vector<char> in(from, from + bytes);
    DeviceAddress a = upload(*device, in), b = reserve(*device, bytes);
    ok(device->copy(b, a, bytes));
    EXPECT_EQ(download<char>(*device, b, bytes), in) << bytes;
    ok(device->free(a));
    ok(device->free(b));
  }
}

// The driver of these tests reads pinned memory as late as it may.
TEST_F(CudaTest, TheHostsBufferIsFreeAtOnce) {
  std::shared_ptr<GpuDevice> device = open();
  std::vector<DeviceAddress> addresses;
  for (uint32_t i = 0; i < 20; ++i)
    addresses.push_back(reserve(*device, 1000 * sizeof(uint32_t)));
  std::vector<uint32_t> buffer;
  for (uint32_t i = 0; i < 20; ++i) {
    buffer = pattern(1000, i);
    ok(device->copyIn(addresses[i], buffer.data(), 4000));
    std::fill(buffer.begin(), buffer.end(), 0);
  }
  for (uint32_t i = 0; i < 20; ++i)
    EXPECT_EQ(download<uint32_t>(*device, addresses[i], 1000), pattern(1000, i)) << i;
}

TEST_F(CudaTest, PinnedBuffersAreUsedAgain) {
  std::shared_ptr<GpuDevice> device = open();
  uint64_t before = counts().pinnedAllocations;
  DeviceAddress x = reserve(*device, 3 * kPiece);
  for (uint32_t round = 0; round < 4; ++round) {
    std::vector<uint32_t> values = pattern(3 * kPiece / 4, round);
    ok(device->copyIn(x, values.data(), 3 * kPiece));
    EXPECT_EQ(download<uint32_t>(*device, x, 3 * kPiece / 4), values) << round;
  }
  EXPECT_EQ(counts().pinnedAllocations - before, 4u);
}

// After a copy to the host nothing is under way, and the next copy to the GPU begins with an empty buffer.
TEST_F(CudaTest, OneBufferServesInTurns) {
  std::shared_ptr<GpuDevice> device = open();
  uint64_t before = counts().pinnedAllocations;
  DeviceAddress x = reserve(*device, kPiece / 4 * 3);
  std::vector<char> values(kPiece / 4 * 3, 'x');
  for (int round = 0; round < 3; ++round) {
    ok(device->copyIn(x, values.data(), values.size()));
    EXPECT_EQ(download<char>(*device, x, values.size()), values);
  }
  EXPECT_EQ(counts().pinnedAllocations - before, 2u) << "one for each direction";
}

// Small copies follow each other without waiting for the GPU.
TEST_F(CudaTest, CopiesInDoNotWait) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = reserve(*device, 64);
  uint64_t before = counts().synchronizations;
  for (uint32_t i = 0; i < 100; ++i)
    ok(device->copyIn(x, &i, sizeof i));
  EXPECT_EQ(counts().synchronizations, before);
  EXPECT_EQ(download<uint32_t>(*device, x, 1), std::vector<uint32_t>{99});
}

TEST_F(CudaTest, Fills) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = reserve(*device, 16);
  ok(device->fill(x, 0x01020304, 4, 4));
  ok(device->fill(x + 2, 0xaabb, 2, 1));
  ok(device->fill(x + 5, 0xcc, 1, 2));
  ok(device->fill(x, 0, 1, 0));
  EXPECT_EQ(download<uint8_t>(*device, x, 8), (std::vector<uint8_t>{4, 3, 0xbb, 0xaa, 4, 0xcc, 0xcc, 1}));
  EXPECT_EQ(device->fill(x, 0, 8, 1).message(),
            "CUDA: 8 bytes cannot be filled: CUDA_ERROR_INVALID_VALUE (invalid argument)");
}

TEST_F(CudaTest, OutOfMemory) {
  Environment little({{"FAKE_CUDA_MEMORY", "10000000"}});
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress first = reserve(*device, 6'000'000);
  Result<DeviceAddress> second = device->allocate(5'000'000);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.message(), outOfDeviceMemory(5'000'000, {10'000'000, 4'000'000}).message());
  Result<DeviceMemory> memory = device->memory();
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->total, 10'000'000u);
  EXPECT_EQ(memory->free, 4'000'000u);
  ok(device->free(first));
  EXPECT_TRUE(device->allocate(9'000'000).ok());
}

TEST_F(CudaTest, NothingIsSomewhere) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = reserve(*device, 0);
  EXPECT_NE(x, 0u);
  ok(device->copyIn(x, nullptr, 0));
  ok(device->copyOut(nullptr, x, 0));
  ok(device->copy(x, x, 0));
  ok(device->free(x));
  ok(device->free(0));
}

TEST_F(CudaTest, MemoryThatIsNotThere) {
  std::shared_ptr<GpuDevice> device = open();
  DeviceAddress x = reserve(*device, 100);
  uint64_t value = 0;
  EXPECT_EQ(device->copyIn(x + 96, &value, 8).message(),
            "CUDA: 8 bytes cannot be copied to the GPU: CUDA_ERROR_INVALID_VALUE (invalid argument)");
  EXPECT_EQ(device->copyOut(&value, 0x1234, 8).message(),
            "CUDA: 8 bytes cannot be copied from the GPU: CUDA_ERROR_INVALID_VALUE (invalid argument)");
  EXPECT_EQ(device->free(x + 1).message(), "CUDA: memory cannot be freed: CUDA_ERROR_INVALID_VALUE (invalid argument)");
}
} // namespace

} // namespace peer::runtime::test
