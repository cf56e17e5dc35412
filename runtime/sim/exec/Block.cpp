#include "Block.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime::sim {

void BlockOrder::meet(uint64_t address, uint32_t block, Known &known, bool publish) {
  std::lock_guard lock(mutex);
  Known &there = published[address];
  known.resize(std::max({known.size(), there.size(), size_t{block / 64 + 1}}));
  for (size_t i = 0; i < there.size(); ++i)
    known[i] |= there[i];
  if (publish) {
    known[block / 64] |= uint64_t{1} << (block % 64);
    there = known;
  }
}

BlockRun::BlockRun(Launch &launch, Scratch &scratch)
    : launch(launch), program(launch.program), scratch(scratch),
      watchBlocks(launch.options.checkRaces && launch.grid.count() > 1),
      watchShared(launch.options.checkRaces || launch.options.checkUninitialised),
      threads(static_cast<uint32_t>(launch.block.count())) {
  uint32_t count = (threads + kLanes - 1) / kLanes;
  if (scratch.registers.size() < count)
    scratch.registers.resize(count);
  for (uint32_t i = 0; i < count; ++i)
    warps.push_back(std::make_unique<Warp>(*this, i, program, scratch.registers[i].reserve(program.registerBytes)));
  // Room for the last access's checks in whole granules.
  size_t sharedBytes = (size_t{launch.sharedBytes} + 15) & ~size_t{15};
  size_t cells = watchShared ? (sharedBytes >> program.sharedGrain) + 1 : 0;
  scratch.shared.resize(sharedBytes);
  // What is in them from another launch is as old as what is there from another block.
  if (cells > scratch.cells.size())
    scratch.cells.resize(cells);
  scratch.local.assign(size_t{program.localBytes} * threads, 0);
  scratch.localWritten.resize(scratch.local.size());
}

uint64_t BlockRun::special(Special what, uint32_t warp, uint32_t lane) const {
  Dim3 tid = threadOf(warp, lane);
  const Dim3 &ntid = launch.block, &grid = launch.grid;
  Mask bit = Mask{1} << lane;
  switch (what) {
  case Special::TidX:
    return tid.x;
  case Special::TidY:
    return tid.y;
  case Special::TidZ:
    return tid.z;
  case Special::NtidX:
    return ntid.x;
  case Special::NtidY:
    return ntid.y;
  case Special::NtidZ:
    return ntid.z;
  case Special::CtaidX:
    return blockIndex.x;
  case Special::CtaidY:
    return blockIndex.y;
  case Special::CtaidZ:
    return blockIndex.z;
  case Special::NctaidX:
    return grid.x;
  case Special::NctaidY:
    return grid.y;
  case Special::NctaidZ:
    return grid.z;
  case Special::LaneId:
    return lane;
  case Special::WarpId:
    return warp;
  case Special::NwarpId:
    return (threads + kLanes - 1) / kLanes;
  case Special::MaskEq:
    return bit;
  case Special::MaskLt:
    return bit - 1;
  case Special::MaskLe:
    return bit | (bit - 1);
  case Special::MaskGt:
    return ~(bit | (bit - 1));
  case Special::MaskGe:
    return ~(bit - 1);
  case Special::SharedDynamic:
    return launch.sharedBytes - program.sharedBytes;
  case Special::SharedTotal:
    return launch.sharedBytes;
  case Special::Zero:
    return 0;
  }
  return 0;
}

Dim3 BlockRun::threadOf(uint32_t warp, uint32_t lane) const {
  uint32_t linear = warp * kLanes + lane;
  const Dim3 &d = launch.block;
  return {linear % d.x, linear / d.x % d.y, linear / d.x / d.y};
}

std::string BlockRun::nameOf(uint32_t thread) const {
  Dim3 t = threadOf(thread / kLanes, thread % kLanes);
  return concat("thread (", t.x, ", ", t.y, ", ", t.z, ")");
}

void BlockRun::fault(FaultKind kind, const Warp &warp, const Inst &inst, unsigned lane, uint64_t address, uint32_t size,
                     std::string detail) {
  launch.faults.add(
      {kind, program.name, inst.line, blockIndex, threadOf(warp.index, lane), address, size, std::move(detail), 1});
}

void BlockRun::run(uint64_t number) {
  const Dim3 &grid = launch.grid;
  blockNumber = static_cast<uint32_t>(number);
  blockIndex = {static_cast<uint32_t>(number % grid.x), static_cast<uint32_t>(number / grid.x % grid.y),
                static_cast<uint32_t>(number / grid.x / grid.y)};
  aborted = fenced = false;
  known.clear();
  liveThreads = threads;
  instructionsBefore = warpInstructions();
  std::fill(scratch.localWritten.begin(), scratch.localWritten.end(), 0);
  // What kernels find in memory that nobody wrote is the same on every run.
  std::fill(scratch.shared.begin(), scratch.shared.end(), 0xa5);
  for (Barrier &barrier : barriers)
    barrier = {};
  uint32_t &base = scratch.clockBase;
  if (base > 1u << 30) {
    std::fill(scratch.cells.begin(), scratch.cells.end(), Cell{});
    base = 0;
  }
  for (auto &warp : warps) {
    warp->clock.fill(base);
    warp->clock[warp->index] = base + 1;
    warp->floor = base;
    uint32_t first = warp->index * kLanes;
    warp->start(threads - first >= kLanes ? kAllLanes : (Mask{1} << (threads - first)) - 1);
  }
  while (liveThreads && !aborted) {
    uint64_t before = warpInstructions();
    for (auto &warp : warps) {
      warp->run();
      if (aborted)
        break;
    }
    bool moved = warpInstructions() != before;
    // Threads that exited are waited for no longer.
    for (uint32_t id = 0; id < kBarriers && !aborted; ++id)
      if (barriers[id].arrived && barriers[id].arrived >= expectedAt(barriers[id])) {
        complete(id);
        moved = true;
      }
    if (!moved && liveThreads && !aborted) {
      deadlock();
      break;
    }
  }
  bool copying = false;
  for (auto &warp : warps)
    copying |= !warp->async.empty();
  for (Cell &cell : scratch.cells) {
    if (!copying)
      break;
    cell.pending = 0;
  }
  for (auto &warp : warps)
    base = std::max(base, *std::max_element(warp->clock.begin(), warp->clock.end()));
}

bool BlockRun::overLimit(Warp &warp, const Inst &inst, Mask active) {
  if (launch.stop.load(std::memory_order_relaxed))
    aborted = true;
  else if ((++branches & 0xff) == 0 && warpInstructions() - instructionsBefore > launch.options.instructionLimit) {
    fault(FaultKind::InstructionLimit, warp, inst, static_cast<unsigned>(std::countr_zero(active)), 0, 0,
          concat("the block has executed more than ", launch.options.instructionLimit, " warp instructions"));
    aborted = true;
    launch.stop = true;
  }
  if (aborted)
    warp.abandon();
  return aborted;
}

bool BlockRun::arrive(Warp &warp, const Inst &inst, Mask active, uint32_t pc) {
  auto first = static_cast<unsigned>(std::countr_zero(active));
  uint32_t id = warp.lanes<uint32_t>(inst.s[1])[first];
  uint32_t expected = inst.flags & kSaturate ? warp.lanes<uint32_t>(inst.s[2])[first] : 0;
  bool arriveOnly = inst.kind == 1;
  if (id >= kBarriers || expected % kLanes || expected > threads + kLanes - 1) {
    fault(FaultKind::DivergentBarrier, warp, inst, first, 0, 0,
          concat("barrier ", id, " for ", expected,
                 " threads: there are 16 barriers, "
                 "for multiples of 32 threads of the block"));
    abort();
    warp.abandon();
    return false;
  }
  Barrier &barrier = barriers[id];
  barrier.expected = expected;
  barrier.aligned |= (inst.flags & kAligned) != 0;
  // A count is one of whole warps; lanes that exited or never were count with theirs.
  barrier.arrived += expected && active == warp.live ? kLanes : static_cast<unsigned>(std::popcount(active));
  for (unsigned w = 0; w < kMaxWarps; ++w)
    barrier.clock[w] = std::max(barrier.clock[w], warp.clock[w]);
  if (inst.flags & kHasResult) {
    Mask value = (warp.predicate(inst.s[3]) ^ (inst.flags & kNegateA ? kAllLanes : 0)) & active;
    barrier.count += static_cast<unsigned>(std::popcount(value));
    barrier.all &= value == active;
    barrier.any |= value != 0;
  }
  if (arriveOnly)
    orderWarp(warp);
  else
    warp.parked.push_back({pc, active, Warp::Wait::AtBarrier, id});
  if (barrier.arrived >= expectedAt(barrier))
    complete(id);
  return arriveOnly;
}

void BlockRun::complete(uint32_t id) {
  Barrier done = barriers[id];
  barriers[id] = {};
  for (auto &warp : warps) {
    Mask here = 0;
    const Inst *at = nullptr;
    bool split = false;
    for (const Warp::Group &group : warp->parked) {
      if (group.wait != Warp::Wait::AtBarrier || group.barrier != id)
        continue;
      const Inst &inst = program.code[group.pc];
      split |= at && at != &inst;
      at = &inst;
      here |= group.mask;
      if (!(inst.flags & kHasResult))
        continue;
      if (inst.kind2 == 0) {
        for (unsigned lane = 0; lane < kLanes; ++lane)
          if (group.mask >> lane & 1)
            warp->lanes<uint32_t>(inst.s[0])[lane] = done.count;
      } else {
        warp->setPredicate(inst.s[0], (inst.kind2 == 1 ? done.all : done.any) ? kAllLanes : 0, group.mask);
      }
    }
    if (!here)
      continue;
    if (done.aligned && (split || here != warp->live))
      fault(FaultKind::DivergentBarrier, *warp, *at, static_cast<unsigned>(std::countr_zero(here)), 0, 0,
            "threads of one warp are at different places when the barrier completes");
    for (unsigned w = 0; w < kMaxWarps; ++w)
      warp->clock[w] = std::max(warp->clock[w], done.clock[w]);
    orderWarp(*warp);
    warp->release(id);
  }
}

void BlockRun::deadlock() {
  for (auto &warp : warps)
    for (const Warp::Group &group : warp->parked) {
      const Inst &inst = program.code[group.pc];
      auto lane = static_cast<unsigned>(std::countr_zero(group.mask));
      if (group.wait == Warp::Wait::AtBarrier) {
        const Barrier &barrier = barriers[group.barrier];
        std::string detail = concat("barrier ", group.barrier, " waits for ", expectedAt(barrier), " threads, ",
                                    barrier.arrived, " came, and nobody moves");
        fault(FaultKind::DivergentBarrier, *warp, inst, lane, 0, 0, std::move(detail));
      } else {
        fault(FaultKind::DivergentWarp, *warp, inst, lane, 0, 0,
              "other threads of the member mask never come to this instruction");
      }
    }
  for (auto &warp : warps)
    warp->abandon();
}

uint64_t BlockRun::laneOperations() const {
  uint64_t sum = 0;
  for (const auto &warp : warps)
    sum += warp->laneOperations;
  return sum;
}

uint64_t BlockRun::warpInstructions() const {
  uint64_t sum = 0;
  for (const auto &warp : warps)
    sum += warp->instructions;
  return sum;
}

} // namespace peer::runtime::sim
