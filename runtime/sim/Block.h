// One block of threads on one thread of this machine: its warps, barriers, shared and local memory, and the checks of every access.
#pragma once

#include "Launch.h"
#include "Warp.h"

#include <memory>

namespace peer::runtime::sim {

/// Where one lane's access goes.
struct Site {
  uint8_t *data = nullptr;
  /// Global memory only.
  Allocation *allocation = nullptr;
  uint64_t offset = 0;
  uint64_t address = 0;
  Space space = Space::Global;
};

class BlockRun {
public:
  BlockRun(Launch &launch);

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

  // Accesses (Access.cpp).
  /// Finds the memory of `bytes` bytes at each lane's address; the lanes whose access is in bounds and aligned.
  Mask locate(Warp &warp, const Inst &inst, Mask mask, Space space, const uint64_t *addresses, unsigned bytes,
              bool write, Site *sites);
  /// Checks a read: written before, no race, no copy under way.
  void noteRead(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes);
  /// Checks and records a write of `value`, which is not in memory yet.
  void noteWrite(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes, const void *value);
  void noteAtomic(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes);
  void fence() { fenced = true; }
  /// Threads of the warp saw each other's accesses (bar.warp.sync).
  void orderWarp(Warp &warp) { ++warp.clock[warp.index]; }
  void beginAsync(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes, const void *value);
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
  /// Who touched a granule of shared memory last. Threads are numbered from 1.
  struct Cell {
    uint16_t writer = 0;
    uint16_t reader[2] = {0, 0};
    /// The thread whose cp.async writes here and has not been waited for.
    uint16_t pending = 0;
    bool atomic = false;
    uint32_t writeClock = 0;
    uint32_t readClock[2] = {0, 0};
  };

  uint32_t expectedAt(const Barrier &barrier) const { return barrier.expected ? barrier.expected : liveThreads; }
  void complete(uint32_t id);
  void deadlock();
  Dim3 threadOf(uint32_t warp, uint32_t lane) const;
  std::string nameOf(uint32_t thread) const;
  bool ordered(const Warp &warp, uint32_t self, uint32_t other, uint32_t clock) const;
  Mask locateGlobal(Warp &warp, const Inst &inst, Mask mask, const uint64_t *addresses, unsigned bytes, bool write,
                    Site *sites);
  bool locateSmall(Warp &warp, const Inst &inst, unsigned lane, Space space, uint64_t offset, unsigned bytes,
                   bool write, Site &site);
  void sharedRead(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes);
  void sharedWrite(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes, const void *value,
                   bool atomic);
  void sharedRace(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes, const char *what,
                  uint32_t other);
  bool globalRaces(uint32_t other) const;

  const Program &program;
  std::vector<std::unique_ptr<Warp>> warps;
  std::array<Barrier, kBarriers> barriers;
  std::vector<uint8_t> shared, sharedWritten;
  std::vector<Cell> cells;
  std::vector<uint8_t> local, localWritten;
  /// Every count of every clock up to here belongs to a block that ran before.
  uint32_t clockBase = 0;
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
