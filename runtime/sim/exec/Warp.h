// A warp: 32 lanes' registers, and the groups of lanes that are at different places of the program.
#pragma once

#include "sim/ptx/Program.h"

#include <array>
#include <bit>
#include <vector>

namespace peer::runtime::sim {

class BlockRun;

constexpr unsigned kMaxWarps = 32;
/// What a warp knows of the progress of every warp of its block: accesses up to that count happened before.
using Clock = std::array<uint32_t, kMaxWarps>;

/// cp.async copies of one warp's lanes that no wait covered yet.
struct AsyncCopy {
  uint32_t offset;
  uint32_t group;
  uint8_t lane;
  uint8_t bytes;
};

class Warp {
public:
  enum class Wait : uint8_t { Ready, AtWarpSync, AtBarrier };
  struct Group {
    uint32_t pc = 0;
    Mask mask = 0;
    Wait wait = Wait::Ready;
    uint32_t barrier = 0;
  };

  /// `registers` has program.registerBytes bytes.
  Warp(BlockRun &block, uint32_t index, const Program &program, std::byte *registers);

  /// Forgets everything of the block that ran before; `lanes` of the warp exist.
  void start(Mask lanes);
  /// Runs until every lane has exited or waits.
  void run();
  /// Lets the lanes go on that wait at the barrier.
  void release(uint32_t barrier);
  /// Stops all lanes, after a fault that leaves no way on.
  void abandon();

  template <typename T>
  T *lanes(uint32_t slot) {
    return reinterpret_cast<T *>(registers + slot);
  }
  Mask &predicate(uint32_t slot) { return *reinterpret_cast<Mask *>(registers + slot); }
  void setPredicate(uint32_t slot, Mask value, Mask mask) {
    Mask &to = predicate(slot);
    to = (to & ~mask) | (value & mask);
  }
  const uint32_t *list(const Inst &inst) const { return program.lists.data() + inst.list; }

  BlockRun &block;
  const Program &program;
  uint32_t index;
  /// Lanes that have not exited.
  Mask live = 0;
  /// Groups of lanes that are not running now.
  std::vector<Group> parked;
  uint64_t instructions = 0;
  uint64_t laneOperations = 0;

  /// clock[w]: accesses of warp w up to that number happened before what this warp does now. clock[index] is its own number.
  Clock clock{};
  /// Accesses of any warp of the block up to that number happened before.
  uint32_t floor = 0;
  std::vector<AsyncCopy> async;
  std::array<uint32_t, kLanes> asyncGroup{};

private:
  /// Fills a slot of registers of `width` bytes; `value` gives the bits of a lane.
  template <typename F>
  void setLanes(uint32_t slot, unsigned width, F value);
  uint64_t priority(uint32_t pc) const { return uint64_t{program.code[pc].rank} << 32 | pc; }
  void park(Group group);
  /// Takes the parked group that should run, if one can.
  bool pick();
  /// Before a basic block: merges with lanes that wait there, and gives way to lanes further back.
  void reschedule();
  /// Executes an instruction that is not straight-line code; false when the group no longer runs.
  bool control(const Inst &inst, Mask active);
  bool warpSync(const Inst &inst, Mask active);
  void branchIndexed(const Inst &inst, Mask active);
  void exitLanes(Mask lanes);
  /// Of the lanes at a .sync instruction, those whose member mask is all there, exited lanes aside; executes it for them.
  Mask complete(const Inst &inst, Mask active, bool run);

  std::byte *registers;
  uint32_t pc = 0;
  Mask mask = 0;
};

} // namespace peer::runtime::sim
