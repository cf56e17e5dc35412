// Global memory of the simulated device: allocations with bounds, a record of what was ever written, and of which block touched what.
#pragma once

#include "Status.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace peer::runtime::sim {

// A generic address has the allocation's number in its upper 28 bits, so that no plausible index leads from one allocation to another.
// The highest numbers are the windows of the other spaces.
constexpr unsigned kOffsetBits = 36;
constexpr uint64_t kOffsetMask = (uint64_t{1} << kOffsetBits) - 1;
constexpr uint64_t kSharedWindow = uint64_t{0xF1} << 56;
constexpr uint64_t kLocalWindow = uint64_t{0xF2} << 56;
constexpr uint64_t kParamWindow = uint64_t{0xF3} << 56;
constexpr uint64_t kWindowMask = uint64_t{0xFF} << 56;

/// Which blocks of a launch touched the granules of an allocation.
class BlockShadow {
public:
  /// Records a read (write) by `block` of the granule at `offset`; returns the number + 1 of another block whose access races
  /// with it, 0 if none, kMany if it is one of several.
  uint32_t read(uint64_t offset, uint32_t block);
  uint32_t write(uint64_t offset, uint32_t block);
  /// Makes the shadow ready for a launch whose smallest access has 1 << granuleShift bytes; called by any thread of the launch.
  void prepare(uint64_t launch, unsigned granuleShift, uint64_t bytes) {
    if (preparedFor.load(std::memory_order_acquire) != launch)
      prepareSlow(launch, granuleShift, bytes);
  }

  static constexpr uint32_t kMany = ~0u;

private:
  static constexpr unsigned kPageShift = 10;
  struct Free {
    void operator()(uint64_t *p) const;
  };
  void prepareSlow(uint64_t launch, unsigned granuleShift, uint64_t bytes);
  std::atomic_ref<uint64_t> entry(uint64_t offset);

  std::atomic<uint64_t> preparedFor{0};
  unsigned shift = 0;
  unsigned allocatedShift = 64;
  // One entry per granule: writer + 1 in the upper half, reader + 1 in the lower. Pages are cleared when a launch first touches them.
  std::unique_ptr<uint64_t, Free> entries;
  std::vector<std::atomic<uint64_t>> pages;
  std::mutex mutex;
};

/// One piece of global memory.
struct Allocation {
  std::string name;
  uint64_t address = 0;
  uint64_t bytes = 0;
  bool freed = false;
  /// A constant: kernels must not write it.
  bool constant = false;
  std::unique_ptr<uint8_t[]> storage;
  uint8_t *data = nullptr;
  BlockShadow shadow;

  /// Whether every byte of an aligned access of up to 8 bytes was written before.
  bool written(uint64_t offset, unsigned size) const {
    if (allWritten.load(std::memory_order_relaxed))
      return true;
    uint8_t wanted = static_cast<uint8_t>(((1u << size) - 1) << (offset & 7));
    return (std::atomic_ref(writtenBits[offset >> 3]).load(std::memory_order_relaxed) & wanted) == wanted;
  }
  void markWritten(uint64_t offset, unsigned size) {
    if (allWritten.load(std::memory_order_relaxed))
      return;
    uint8_t bits = static_cast<uint8_t>(((1u << size) - 1) << (offset & 7));
    std::atomic_ref byte(writtenBits[offset >> 3]);
    if ((byte.load(std::memory_order_relaxed) & bits) != bits)
      byte.fetch_or(bits, std::memory_order_relaxed);
  }
  void markRange(uint64_t offset, uint64_t size);

  std::atomic<bool> allWritten{false};
  std::unique_ptr<uint8_t[]> writtenBits;
};

/// The device's memory. Allocation and copies must not overlap a launch.
class Memory {
public:
  /// Room for `bytes` bytes at an address aligned to 256, never written. Zero bytes give an address that must not be accessed.
  Result<uint64_t> allocate(uint64_t bytes, std::string name = {});
  Status free(uint64_t address);
  /// Makes an allocation as it was when it was new: never written.
  Status forget(uint64_t address, uint64_t bytes);
  Status copyIn(uint64_t to, const void *from, uint64_t bytes);
  Status copyOut(void *to, uint64_t from, uint64_t bytes) const;
  Status copy(uint64_t to, uint64_t from, uint64_t bytes);
  /// Repeats the lowest `unit` bytes (1, 2 or 4) of `value` `count` times.
  Status fill(uint64_t to, uint32_t value, unsigned unit, uint64_t count);

  /// The allocation that an address names, whatever its bounds; null where there never was one.
  Allocation *find(uint64_t address) const {
    uint64_t id = address >> kOffsetBits;
    return id < allocations.size() ? allocations[id].get() : nullptr;
  }
  /// How many bytes are allocated now.
  uint64_t used() const { return usedBytes; }

private:
  Result<Allocation *> range(uint64_t address, uint64_t bytes, const char *what) const;

  std::vector<std::unique_ptr<Allocation>> allocations{1};
  uint64_t usedBytes = 0;
};

} // namespace peer::runtime::sim
