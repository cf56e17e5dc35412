// Global memory of the simulated device: allocations with bounds, a record of what was ever written, and of which block touched what.
#pragma once

#include "BlockShadow.h"
#include "core/Status.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
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

  /// Whether every byte of a range was written before.
  bool written(uint64_t offset, uint64_t size) const {
    return allWritten.load(std::memory_order_relaxed) || writtenSlow(offset, size);
  }
  void markWritten(uint64_t offset, uint64_t size) {
    if (!allWritten.load(std::memory_order_relaxed))
      markSlow(offset, size);
  }
  /// As markWritten, of what may be the whole allocation.
  void markRange(uint64_t offset, uint64_t size);

  std::atomic<bool> allWritten{false};
  std::unique_ptr<uint8_t[]> writtenBits;

private:
  bool writtenSlow(uint64_t offset, uint64_t size) const;
  void markSlow(uint64_t offset, uint64_t size);
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
  /// The most bytes that may be allocated at once; at first the memory of this machine.
  void setLimit(uint64_t bytes) { limit = bytes; }
  /// How many bytes are allocated now.
  uint64_t used() const { return usedBytes; }

private:
  static uint64_t machineMemory();
  Result<Allocation *> range(uint64_t address, uint64_t bytes, const char *what) const;

  std::vector<std::unique_ptr<Allocation>> allocations{1};
  uint64_t usedBytes = 0, limit = machineMemory();
};

} // namespace peer::runtime::sim
