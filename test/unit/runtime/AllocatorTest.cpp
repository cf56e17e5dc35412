#include "core/Allocator.h"

#include "TestSupport.h"
#include "device/Hooks.h"

#include <cstring>
#include <thread>

using namespace peer::runtime;

TEST(Allocator, AlignedDistinctAndReused) {
  for (size_t bytes :
       {size_t{0}, size_t{1}, size_t{512}, size_t{513}, size_t{100'000}, size_t{3} << 20, size_t{20} << 20}) {
    auto *first = static_cast<char *>(_mlir_memref_to_llvm_alloc(bytes));
    auto *second = static_cast<char *>(_mlir_memref_to_llvm_alloc(bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
    EXPECT_NE(first, second);
    std::memset(first, 1, bytes);
    std::memset(second, 2, bytes);
    if (bytes > 0)
      EXPECT_EQ(first[bytes - 1], 1);
    _mlir_memref_to_llvm_free(first);
    EXPECT_EQ(_mlir_memref_to_llvm_alloc(bytes), first);
    _mlir_memref_to_llvm_free(first);
    _mlir_memref_to_llvm_free(second);
  }
  _mlir_memref_to_llvm_free(nullptr);
}

TEST(Allocator, LargeAlignments) {
  for (size_t alignment = 1; alignment <= size_t{1} << 21; alignment *= 2) {
    auto *block = static_cast<char *>(_mlir_memref_to_llvm_aligned_alloc(alignment, 1000));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % std::max<size_t>(alignment, 64), 0u);
    std::memset(block, 1, 1000);
    _mlir_memref_to_llvm_free(block);
  }
}

TEST(Allocator, CountsCurrentAndPeak) {
  uint64_t before = allocatorUsage().current;
  resetAllocatorPeak();
  void *block = allocateBlock(10 << 20);
  EXPECT_GE(allocatorUsage().current, before + (10 << 20));
  releaseBlock(block);
  EXPECT_EQ(allocatorUsage().current, before);
  EXPECT_GE(allocatorUsage().peak, before + (10 << 20));
  EXPECT_LE(allocatorUsage().peak, before + (12 << 20)); // at most an eighth is lost to size classes
  releaseCachedBlocks();
}

TEST(Allocator, ManyThreadsPassBlocksOn) {
  uint64_t before = allocatorUsage().current;
  std::vector<void *> blocks(4000);
#pragma omp parallel for num_threads(4) schedule(dynamic)
  for (size_t i = 0; i < blocks.size(); ++i) {
    size_t bytes = 64 + i * 7 % 9000;
    blocks[i] = allocateBlock(bytes);
    std::memset(blocks[i], static_cast<int>(i), bytes);
  }
  int wrong = 0;
#pragma omp parallel for num_threads(4) schedule(static) reduction(+ : wrong)
  for (size_t i = 0; i < blocks.size(); ++i) {
    wrong += static_cast<unsigned char *>(blocks[i])[63] != (i & 255);
    releaseBlock(blocks[i]);
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(allocatorUsage().current, before);
  // A thread that ends leaves its blocks to the others.
  void *left = nullptr;
  std::thread([&] { releaseBlock(left = allocateBlock(5'000'000)); }).join();
  void *again = allocateBlock(5'000'000);
  EXPECT_EQ(again, left);
  releaseBlock(again);
}

namespace {
void exhaustInParallel() {
#pragma omp parallel num_threads(2)
  allocateBlock(size_t{1} << 50);
}
} // namespace

TEST(AllocatorDeathTest, OutOfMemoryInAParallelRegionIsOneSentence) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(exhaustInParallel(), testing::ExitedWithCode(1),
              "peer-run: error: out of memory: the compiled code needs 1.1 PB more");
}
