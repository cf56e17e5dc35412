// Every access of memory: bounds and alignment, what was written before, who else was there.

#include "Block.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime::sim {

Mask BlockRun::locate(Warp &warp, const Inst &inst, Mask mask, Space space, const uint64_t *addresses, unsigned bytes,
                      bool write, Site *sites) {
  if (space == Space::Global || space == Space::Const)
    return locateGlobal(warp, inst, mask, addresses, bytes, write, sites);
  Mask good = 0, global = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t address = addresses[lane], window = address & kWindowMask;
    Space here = space;
    sites[lane].address = address;
    if (space == Space::Generic) {
      if (window != kSharedWindow && window != kLocalWindow && window != kParamWindow) {
        global |= Mask{1} << lane;
        continue;
      }
      here = window == kSharedWindow ? Space::Shared : window == kLocalWindow ? Space::Local : Space::Param;
      address &= ~kWindowMask;
    }
    if (locateSmall(warp, inst, lane, here, address, bytes, write, sites[lane]))
      good |= Mask{1} << lane;
  }
  return global ? good | locateGlobal(warp, inst, global, addresses, bytes, write, sites) : good;
}

bool BlockRun::locateSmall(Warp &warp, const Inst &inst, unsigned lane, Space space, uint64_t offset, unsigned bytes,
                           bool write, Site &site) {
  uint64_t room = space == Space::Shared  ? launch.sharedBytes
                  : space == Space::Local ? program.localBytes
                                          : launch.parameters.size();
  if (offset > room || bytes > room - offset || (space == Space::Param && write)) {
    fault(FaultKind::OutOfBounds, warp, inst, lane, site.address, bytes,
          concat(spaceName(space), " memory has ", room, " bytes"));
    return false;
  }
  if (offset % bytes) {
    fault(FaultKind::Misaligned, warp, inst, lane, site.address, bytes, concat(spaceName(space), " memory"));
    return false;
  }
  site.space = space;
  site.allocation = nullptr;
  site.offset = offset;
  if (space == Space::Shared)
    site.data = shared.data() + offset;
  else if (space == Space::Param)
    // Never written: checked above.
    site.data = const_cast<uint8_t *>(launch.parameters.data()) + offset;
  else {
    site.offset = offset + uint64_t{warp.index * kLanes + lane} * program.localBytes;
    site.data = local.data() + site.offset;
  }
  return true;
}

Mask BlockRun::locateGlobal(Warp &warp, const Inst &inst, Mask mask, const uint64_t *addresses, unsigned bytes,
                            bool write, Site *sites) {
  Mask good = 0;
  Allocation *allocation = nullptr;
  uint64_t id = ~uint64_t{0};
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t address = addresses[lane], offset = address & kOffsetMask;
    if (address >> kOffsetBits != id) {
      id = address >> kOffsetBits;
      allocation = launch.memory.find(address);
    }
    if (!allocation || allocation->freed || offset > allocation->bytes || bytes > allocation->bytes - offset) {
      std::string detail = !allocation ? std::string("no memory there")
                                       : concat(allocation->freed ? "freed memory" : "offset ",
                                                allocation->freed ? "" : std::to_string(offset),
                                                " of an allocation of ", allocation->bytes, " bytes",
                                                allocation->name.empty() ? "" : " named ", allocation->name);
      fault(FaultKind::OutOfBounds, warp, inst, lane, address, bytes, std::move(detail));
    } else if (offset % bytes) {
      fault(FaultKind::Misaligned, warp, inst, lane, address, bytes, "global memory");
    } else if (write && allocation->constant) {
      fault(FaultKind::OutOfBounds, warp, inst, lane, address, bytes, "constant memory is not written by kernels");
    } else {
      sites[lane] = {allocation->data + offset, allocation, offset, address, Space::Global};
      good |= Mask{1} << lane;
    }
  }
  if (good && launch.options.checkRaces)
    for (unsigned lane = 0; lane < kLanes; ++lane)
      if (good >> lane & 1)
        sites[lane].allocation->shadow.prepare(launch.number, program.globalGrain, sites[lane].allocation->bytes);
  return good;
}

bool BlockRun::globalRaces(uint32_t other) const {
  // Of several readers one is not known by name, so it cannot be told whether all came before.
  return other != 0 && !(other == BlockShadow::kMany ? fenced : BlockOrder::knows(known, other - 1));
}

void BlockRun::noteRead(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes) {
  bool written = true;
  if (site.space == Space::Global) {
    if (launch.options.checkUninitialised)
      for (unsigned i = 0; i < bytes; i += 8)
        written &= site.allocation->written(site.offset + i, std::min(bytes - i, 8u));
    if (inst.flags & kStrong) {
      if (program.fences)
        launch.order.meet(site.address, blockNumber, known, false);
    } else if (launch.options.checkRaces) {
      for (unsigned i = 0; i < bytes; i += 1u << program.globalGrain)
        if (uint32_t other = site.allocation->shadow.read(site.offset + i, blockNumber); globalRaces(other)) {
          fault(FaultKind::GlobalRace, warp, inst, lane, site.address, bytes,
                concat("read of what block ", other - 1, " writes in the same launch"));
          break;
        }
    }
  } else if (site.space == Space::Shared) {
    if (launch.options.checkUninitialised)
      for (unsigned i = 0; i < bytes; ++i)
        written &= sharedWritten[site.offset + i] != 0;
    if (launch.options.checkRaces)
      sharedRead(warp, inst, lane, site, bytes);
  } else if (site.space == Space::Local && launch.options.checkUninitialised) {
    for (unsigned i = 0; i < bytes; ++i)
      written &= localWritten[site.offset + i] != 0;
  }
  if (!written)
    fault(FaultKind::Uninitialised, warp, inst, lane, site.address, bytes, concat(spaceName(site.space), " memory"));
}

void BlockRun::noteWrite(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes,
                         const void *value) {
  if (site.space == Space::Global) {
    for (unsigned i = 0; i < bytes; i += 8)
      site.allocation->markWritten(site.offset + i, std::min(bytes - i, 8u));
    if (inst.flags & kStrong) {
      if (program.fences)
        launch.order.meet(site.address, blockNumber, known, fenced);
    } else if (launch.options.checkRaces) {
      for (unsigned i = 0; i < bytes; i += 1u << program.globalGrain)
        if (uint32_t other = site.allocation->shadow.write(site.offset + i, blockNumber);
            globalRaces(other) && std::memcmp(site.data, value, bytes) != 0) {
          std::string who = other == BlockShadow::kMany ? std::string("other blocks read")
                                                        : concat("block ", other - 1, " reads or writes");
          fault(FaultKind::GlobalRace, warp, inst, lane, site.address, bytes,
                concat("write to what ", who, " in the same launch"));
          break;
        }
    }
  } else if (site.space == Space::Shared) {
    if (launch.options.checkRaces)
      sharedWrite(warp, inst, lane, site, bytes, value, false);
    std::memset(sharedWritten.data() + site.offset, 1, bytes);
  } else if (site.space == Space::Local) {
    std::memset(localWritten.data() + site.offset, 1, bytes);
  }
}

void BlockRun::noteAtomic(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes) {
  bool written = true;
  if (site.space == Space::Global) {
    for (unsigned i = 0; i < bytes; i += 8)
      written &= site.allocation->written(site.offset + i, std::min(bytes - i, 8u));
    if (program.fences)
      launch.order.meet(site.address, blockNumber, known, fenced);
  } else if (site.space == Space::Shared) {
    for (unsigned i = 0; i < bytes; ++i)
      written &= sharedWritten[site.offset + i] != 0;
    if (launch.options.checkRaces)
      sharedWrite(warp, inst, lane, site, bytes, nullptr, true);
  }
  if (!written && launch.options.checkUninitialised)
    fault(FaultKind::Uninitialised, warp, inst, lane, site.address, bytes, "by an atomic operation");
}

bool BlockRun::ordered(const Warp &warp, uint32_t self, uint32_t other, uint32_t clock) const {
  if (other == 0 || other == self)
    return true;
  uint32_t w = (other - 1) / kLanes;
  // Lanes of one warp are ordered by bar.warp.sync and barriers, which advance the warp's own count.
  return w == warp.index ? clock < warp.clock[w] : clock <= warp.clock[w];
}

void BlockRun::sharedRace(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes,
                          const char *what, uint32_t other) {
  fault(FaultKind::SharedRace, warp, inst, lane, site.address, bytes,
        concat(what, " ", nameOf(other - 1), " without a barrier in between"));
}

void BlockRun::sharedRead(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes) {
  auto self = static_cast<uint16_t>(warp.index * kLanes + lane + 1);
  uint32_t now = warp.clock[warp.index];
  unsigned shift = program.sharedGrain;
  for (uint64_t i = site.offset >> shift; i <= (site.offset + bytes - 1) >> shift; ++i) {
    Cell &cell = cells[i];
    if (cell.pending) {
      fault(FaultKind::MissingAsyncWait, warp, inst, lane, site.address, bytes,
            concat("read of shared memory that a cp.async of ", nameOf(cell.pending - 1u), " still writes"));
      return;
    }
    bool race = !ordered(warp, self, cell.writer, cell.writeClock);
    // Two readers are kept, always different threads, so that a writer that reads too does not hide the other.
    if (cell.reader[0] != self) {
      cell.reader[1] = cell.reader[0];
      cell.readClock[1] = cell.readClock[0];
      cell.reader[0] = self;
    }
    cell.readClock[0] = now;
    if (race) {
      sharedRace(warp, inst, lane, site, bytes, "read of what was written by", cell.writer);
      return;
    }
  }
}

void BlockRun::sharedWrite(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes,
                           const void *value, bool atomic) {
  auto self = static_cast<uint16_t>(warp.index * kLanes + lane + 1);
  unsigned shift = program.sharedGrain;
  uint32_t writer = 0, reader = 0, pending = 0;
  for (uint64_t i = site.offset >> shift; i <= (site.offset + bytes - 1) >> shift; ++i) {
    Cell &cell = cells[i];
    if (cell.pending)
      pending = cell.pending;
    if (!(atomic && cell.atomic) && !ordered(warp, self, cell.writer, cell.writeClock))
      writer = cell.writer;
    for (unsigned r = 0; r < 2; ++r)
      if (!ordered(warp, self, cell.reader[r], cell.readClock[r]))
        reader = cell.reader[r];
    cell.writer = self;
    cell.writeClock = warp.clock[warp.index];
    cell.atomic = atomic;
  }
  if (pending)
    fault(FaultKind::MissingAsyncWait, warp, inst, lane, site.address, bytes,
          concat("write to shared memory that a cp.async of ", nameOf(pending - 1), " still writes"));
  else if (reader)
    sharedRace(warp, inst, lane, site, bytes, "write to what was read by", reader);
  // Threads that all write the same value do no harm, whichever comes last.
  else if (writer && !(value && std::memcmp(site.data, value, bytes) == 0))
    sharedRace(warp, inst, lane, site, bytes, "write to what was written by", writer);
}

void BlockRun::beginAsync(Warp &warp, const Inst &inst, unsigned lane, const Site &site, unsigned bytes,
                          const void *value) {
  noteWrite(warp, inst, lane, site, bytes, value);
  if (!launch.options.checkRaces)
    return;
  unsigned shift = program.sharedGrain;
  for (uint64_t i = site.offset >> shift; i <= (site.offset + bytes - 1) >> shift; ++i)
    cells[i].pending = static_cast<uint16_t>(warp.index * kLanes + lane + 1);
  warp.async.push_back({static_cast<uint32_t>(site.offset), warp.asyncGroup[lane], static_cast<uint8_t>(lane),
                        static_cast<uint8_t>(bytes)});
}

void BlockRun::finishAsync(Warp &warp, const AsyncCopy &copy) {
  unsigned shift = program.sharedGrain;
  auto self = static_cast<uint16_t>(warp.index * kLanes + copy.lane + 1);
  for (uint64_t i = copy.offset >> shift; i <= (copy.offset + copy.bytes - 1u) >> shift; ++i)
    if (cells[i].pending == self) {
      cells[i].pending = 0;
      // From here on it is a write of this thread like any other: the rest of the block needs a barrier.
      cells[i].writer = self;
      cells[i].writeClock = warp.clock[warp.index];
      cells[i].atomic = false;
    }
}

} // namespace peer::runtime::sim
