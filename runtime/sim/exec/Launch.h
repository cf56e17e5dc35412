// What all blocks of one launch share.
#pragma once

#include "sim/memory/Fault.h"
#include "sim/memory/Memory.h"
#include "sim/ptx/Program.h"

#include <array>
#include <span>
#include <unordered_map>

namespace peer::runtime::sim {

/// What a launch checks, and when it gives up.
struct LaunchOptions {
  /// Threads of this machine to run blocks on; 0 takes one per core.
  unsigned threads = 0;
  bool checkRaces = true;
  bool checkUninitialised = true;
  size_t faultLimit = 32;
  /// Warp instructions that one block may execute.
  uint64_t instructionLimit = uint64_t{1} << 28;
};

/// Blocks ordered through memory: an atomic access after a fence publishes what its block did, an atomic access before a fence
/// takes part in what others published. Only who is known to whom is kept, not since when: a race may go unseen, none is invented.
class BlockOrder {
public:
  using Known = std::vector<uint64_t>;
  /// `block` accesses `address` atomically; what it knows grows by what was published there.
  void meet(uint64_t address, uint32_t block, Known &known, bool publish);
  static bool knows(const Known &known, uint32_t block) {
    return block / 64 < known.size() && (known[block / 64] >> (block % 64) & 1);
  }

private:
  std::mutex mutex;
  std::unordered_map<uint64_t, Known> published;
};

struct Launch {
  const Program &program;
  Memory &memory;
  FaultList &faults;
  LaunchOptions options;
  Dim3 grid, block;
  uint32_t sharedBytes;
  std::span<const uint8_t> parameters;
  /// Told apart from every earlier one by the shadows of memory.
  uint64_t number;
  BlockOrder order{};
  /// Atomic operations on global memory lock by address.
  std::array<std::mutex, 64> locks{};
  std::atomic<bool> stop{false};

  std::mutex &lockFor(const void *data) { return locks[reinterpret_cast<uintptr_t>(data) / 16 % locks.size()]; }
};

} // namespace peer::runtime::sim
