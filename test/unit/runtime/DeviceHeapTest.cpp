#include "device/gpu/DeviceHeap.h"

#include "TestSupport.h"
#include "device/gpu/SimLibrary.h"

using namespace peer::runtime;

namespace {
class DeviceHeapTest : public testing::Test {
protected:
  DeviceAddress take(uint64_t bytes) { return heap.take(bytes).value(); }
  uint64_t onDevice() {
    DeviceMemory memory = device->memory().value();
    return memory.total - memory.free;
  }

  std::shared_ptr<GpuDevice> device = openSimDevice("sm_90").value();
  DeviceHeap heap{*device};
};
} // namespace

TEST_F(DeviceHeapTest, EqualCallsGetEqualAddresses) {
  std::vector<DeviceAddress> first;
  for (int call = 0; call < 3; ++call) {
    std::vector<DeviceAddress> now;
    for (uint64_t bytes : {4096, 16, 4096, 0, 16})
      now.push_back(take(bytes));
    EXPECT_EQ(std::set<DeviceAddress>(now.begin(), now.end()).size(), 5u);
    EXPECT_OK(heap.give(now[call]));
    heap.giveAll();
    if (call == 0)
      first = now;
    EXPECT_EQ(now, first);
  }
  EXPECT_EQ(heap.current(), 0u);
  EXPECT_EQ(heap.peak(), 2 * 4096u + 2 * 16 + 1);
}

TEST_F(DeviceHeapTest, ReusedBlocksAreUndefined) {
  DeviceAddress block = take(4);
  ASSERT_OK(device->fill(block, 7, 4, 1));
  ASSERT_OK(heap.give(block));
  ASSERT_EQ(take(4), block);
  uint32_t value = 7;
  ASSERT_OK(device->copyOut(&value, block, 4));
  EXPECT_NE(value, 7u);
}

TEST_F(DeviceHeapTest, HeldBlocksAreNobodyElses) {
  heap.beginPinning();
  DeviceAddress result = take(64), scratch = take(64);
  std::vector<DeviceAddress> taken = heap.endPinning({result});
  heap.giveAll();
  EXPECT_EQ(taken.size(), 2u);
  EXPECT_FALSE(heap.give(result).ok());
  EXPECT_EQ(take(64), scratch); // another call may use what a graph uses within its own
  EXPECT_NE(take(64), result);
  heap.giveAll();
  uint64_t before = onDevice();
  heap.trim();
  EXPECT_EQ(onDevice(), before - 64); // the third block only
  heap.unpin(taken);
  heap.trim();
  EXPECT_EQ(onDevice(), before - 3 * 64);
}

TEST_F(DeviceHeapTest, WhatNobodyAsksForIsFreed) {
  constexpr uint64_t kMegabyte = uint64_t{1} << 20;
  for (uint64_t i = 0; i < 40; ++i) {
    take(8 * kMegabyte + i);
    heap.giveAll();
  }
  EXPECT_LT(onDevice(), 100 * kMegabyte);
}

TEST_F(DeviceHeapTest, GivingTwiceIsAnError) {
  DeviceAddress block = take(8);
  EXPECT_OK(heap.give(block));
  EXPECT_OK(heap.give(0));
  EXPECT_NE(errorOf(heap.give(block)).find("is no block of device memory in use"), std::string::npos);
}
