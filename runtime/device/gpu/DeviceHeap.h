// Memory of compiled code on a device: blocks are kept by size, so that the same call gets the same addresses again and nothing is allocated
// in a step that was run before. Every block belongs to the call in progress and is given back at its end, but those that a graph holds.
#pragma once

#include "GpuDevice.h"

#include <map>
#include <set>

namespace peer::runtime {

class DeviceHeap {
public:
  explicit DeviceHeap(GpuDevice &device) : device(device) {}
  ~DeviceHeap();
  DeviceHeap(const DeviceHeap &) = delete;
  DeviceHeap &operator=(const DeviceHeap &) = delete;

  /// A block of `bytes` bytes with undefined contents.
  Result<DeviceAddress> take(uint64_t bytes);
  /// Gives a block back; null is ignored. What is still on the stream may use it.
  Status give(DeviceAddress address);
  /// Gives back all blocks in use that are not held.
  void giveAll();

  /// From here on, blocks that are taken stay allocated as long as the graph that is being recorded: they are cached, never freed.
  void beginPinning() { pinning = true; }
  /// Ends it; the blocks taken since. `held` of them (results) are not used for anything else either.
  std::vector<DeviceAddress> endPinning(const std::set<DeviceAddress> &held);
  void unpin(const std::vector<DeviceAddress> &addresses);

  /// Frees the blocks that are neither in use nor pinned.
  void trim();

  /// Bytes in use now, and the most since resetPeak().
  uint64_t current() const { return inUse; }
  uint64_t peak() const { return most; }
  void resetPeak() { most = inUse; }

private:
  struct Block {
    uint64_t bytes;
    bool used = true, held = false;
    int pins = 0;
  };
  void cache(DeviceAddress address, Block &block);

  GpuDevice &device;
  std::map<DeviceAddress, Block> blocks;
  std::map<uint64_t, std::set<DeviceAddress>> cached; // by size
  uint64_t cachedBytes = 0, inUse = 0, most = 0;
  bool pinning = false;
  std::set<DeviceAddress> pinned; // since beginPinning
};

} // namespace peer::runtime
