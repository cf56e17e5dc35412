// One block of threads on one thread of this machine: its warps, barriers, shared and local memory, and the checks of every access.
#pragma once

#include "Launch.h"
#include "Scratch.h"
#include "Warp.h"
#include "sim/memory/Access.h"

#include <memory>

namespace peer::runtime::sim {

class BlockRun {
public:
  /// `scratch` is this run's alone while it lasts.
  BlockRun(Launch &launch, Scratch &scratch);

  /// Runs the block with this number.
  void run(uint64_t number);

  uint64_t laneOperations() const;
  uint64_t warpInstructions() const;

  // Called by warps.
  uint64_t special(Special what, uint32_t warp, uint32_t lane) const;
  void exited(unsigned threads) { liveThreads -= threads; }
  /// Threads come to a barrier; true when the group need not wait.
  bool arrive(Warp &warp, const Inst &inst, Mask active, uint32_t pc);
  /// Whether the block has executed too much; it is then stopped.
  bool overLimit(Warp &warp, const Inst &inst, Mask active);
  void abort() { aborted = true; }
  void fault(FaultKind kind, const Warp &warp, const Inst &inst, unsigned lane, uint64_t address, uint32_t size,
             std::string detail);

  // Accesses (BlockAccess.cpp, BlockAccessShared.cpp).
  /// Finds the memory of `bytes` bytes at the addresses of `mask`, as far as it is where that of its first lane is: the caller comes again
  /// for those that are not in `access.taken`. What is out of bounds, misaligned or must not be written is a fault.
  void locate(Warp &warp, const Inst &inst, Mask mask, Space space, const uint64_t *addresses, unsigned bytes,
              bool write, Access &access);
  /// Checks a read: written before, no race, no copy under way.
  void noteRead(Warp &warp, const Inst &inst, const Access &access);
  /// Checks, records and does a write; `values` are access.bytes bytes for each of the 32 lanes.
  void write(Warp &warp, const Inst &inst, const Access &access, const void *values);
  void noteAtomic(Warp &warp, const Inst &inst, unsigned lane, const Access &access);
  void fence() { fenced = true; }
  /// Threads of the warp saw each other's accesses (bar.warp.sync).
  void orderWarp(Warp &warp);
  /// Copies `values`, as write, and counts as under way until the lane waits.
  void beginAsync(Warp &warp, const Inst &inst, const Access &access, const void *values);
  void finishAsync(Warp &warp, const AsyncCopy &copy);

  Launch &launch;

private:
  static constexpr unsigned kBarriers = 16;
  struct Barrier {
    /// Threads that came, those of bar.arrive among them.
    uint32_t arrived = 0;
    /// As the instruction says; 0 stands for every thread of the block.
    uint32_t expected = 0;
    bool aligned = false;
    Clock clock{};
    uint32_t count = 0;
    bool all = true, any = false;
  };
  uint32_t expectedAt(const Barrier &barrier) const { return barrier.expected ? barrier.expected : liveThreads; }
  void complete(uint32_t id);
  void deadlock();
  Dim3 threadOf(uint32_t warp, uint32_t lane) const;
  std::string nameOf(uint32_t thread) const;
  /// After a change of the warp's clock.
  void updateFloor(Warp &warp) const;
  bool ordered(const Warp &warp, uint32_t self, uint32_t other, uint32_t clock) const {
    if (other == 0 || other == self)
      return true;
    uint32_t w = (other - 1) / kLanes;
    // Lanes of one warp are ordered by bar.warp.sync and barriers, which advance the warp's own count.
    return w == warp.index ? clock < warp.clock[w] : clock <= warp.clock[w];
  }
  bool orderedCell(const Warp &warp, uint32_t self, uint32_t other, uint32_t clock) const {
    return clock <= warp.floor || ordered(warp, self, other, clock);
  }
  void locateEach(Warp &warp, const Inst &inst, Mask mask, const Region &region, bool write, Access &access);
  std::string outOfBounds(const Region &region, uint64_t offset) const;
  void globalRead(Warp &warp, const Inst &inst, const Access &access);
  void noteGlobalWrite(Warp &warp, const Inst &inst, const Access &access, const uint8_t *values);
  void sharedRead(Warp &warp, const Inst &inst, const Access &access);
  void sharedWrite(Warp &warp, const Inst &inst, const Access &access, const uint8_t *values, bool async);
  void store(const Access &access, const uint8_t *values);
  void sharedReadFaults(Warp &warp, const Inst &inst, unsigned lane, const Access &access);
  void sharedWriteFaults(Warp &warp, const Inst &inst, unsigned lane, const Access &access, const void *value,
                         bool atomic);
  void unwritten(Warp &warp, const Inst &inst, unsigned lane, const Access &access);
  void sharedRace(Warp &warp, const Inst &inst, unsigned lane, const Access &access, const char *what, uint32_t other);
  bool globalRaces(uint32_t other) const;

  const Program &program;
  std::vector<std::unique_ptr<Warp>> warps;
  std::array<Barrier, kBarriers> barriers;
  Scratch &scratch;
  /// Other blocks of the launch may race with this one.
  const bool watchBlocks;
  /// The cells are kept.
  const bool watchShared;
  uint32_t threads = 0;
  uint32_t liveThreads = 0;
  uint32_t blockNumber = 0;
  Dim3 blockIndex{0, 0, 0};
  uint64_t instructionsBefore = 0;
  /// Backward branches taken; the instruction limit is looked at now and then.
  uint64_t branches = 0;
  bool aborted = false;
  /// This block has executed a fence as wide as the device.
  bool fenced = false;
  BlockOrder::Known known;
};

} // namespace peer::runtime::sim
