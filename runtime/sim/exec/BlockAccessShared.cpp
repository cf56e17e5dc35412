// Accesses of shared memory: what threads of one block do to each other.

#include "Block.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime::sim {

void BlockRun::updateFloor(Warp &warp) const {
  uint32_t floor = warp.clock[warp.index] - 1;
  for (unsigned w = 0; w < warps.size(); ++w)
    floor = w == warp.index ? floor : std::min(floor, warp.clock[w]);
  warp.floor = floor;
}

void BlockRun::orderWarp(Warp &warp) {
  ++warp.clock[warp.index];
  updateFloor(warp);
}

void BlockRun::sharedRace(Warp &warp, const Inst &inst, unsigned lane, const Access &access, const char *what,
                          uint32_t other) {
  fault(FaultKind::SharedRace, warp, inst, lane, access.addresses[lane], access.bytes,
        concat(what, " ", nameOf(other - 1), " without a barrier in between"));
}

void BlockRun::sharedRead(Warp &warp, const Inst &inst, const Access &access) {
  if (!watchShared)
    return;
  const uint32_t now = warp.clock[warp.index], base = scratch.clockBase;
  const unsigned shift = program.sharedGrain;
  Cell *cells = scratch.cells.data();
  auto check = [&](unsigned lane, auto count) {
    auto self = static_cast<uint16_t>(warp.index * kLanes + lane + 1);
    Cell *touched = cells + (access.offset[lane] >> shift);
    bool fine = true;
    for (unsigned i = 0; i < count; ++i) {
      const Cell &cell = touched[i];
      fine &= cell.pending == 0 && cell.writeClock > base && orderedCell(warp, self, cell.writer, cell.writeClock);
    }
    if (!fine)
      return sharedReadFaults(warp, inst, lane, access);
    for (unsigned i = 0; i < count; ++i)
      touched[i].noteReader(self, now);
  };
  // Most accesses are as wide as the narrowest.
  if (unsigned count = access.bytes >> shift; count > 1)
    eachLane(access.lanes, [&](unsigned lane) { check(lane, count); });
  else
    eachLane(access.lanes, [&](unsigned lane) { check(lane, std::integral_constant<unsigned, 1>()); });
}

void BlockRun::sharedReadFaults(Warp &warp, const Inst &inst, unsigned lane, const Access &access) {
  auto self = static_cast<uint16_t>(warp.index * kLanes + lane + 1);
  const unsigned shift = program.sharedGrain;
  const uint64_t begin = access.offset[lane] >> shift, end = (access.offset[lane] + access.bytes - 1) >> shift;
  bool written = true;
  for (uint64_t i = begin; i <= end; ++i)
    written &= scratch.cells[i].writeClock > scratch.clockBase;
  if (!written && launch.options.checkUninitialised)
    unwritten(warp, inst, lane, access);
  if (!launch.options.checkRaces)
    return;
  for (uint64_t i = begin; i <= end; ++i) {
    Cell &cell = scratch.cells[i];
    if (cell.pending) {
      fault(FaultKind::MissingAsyncWait, warp, inst, lane, access.addresses[lane], access.bytes,
            concat("read of shared memory that a cp.async of ", nameOf(cell.pending - 1u), " still writes"));
      return;
    }
    bool race = !ordered(warp, self, cell.writer, cell.writeClock);
    cell.noteReader(self, warp.clock[warp.index]);
    if (race) {
      sharedRace(warp, inst, lane, access, "read of what was written by", cell.writer);
      return;
    }
  }
}

void BlockRun::sharedWrite(Warp &warp, const Inst &inst, const Access &access, const uint8_t *values, bool async) {
  if (!watchShared)
    return store(access, values);
  const uint32_t now = warp.clock[warp.index];
  const unsigned shift = program.sharedGrain, count = std::max(1u, access.bytes >> shift);
  Cell *cells = scratch.cells.data();
  withSize(access.bytes, [&](auto size) {
    constexpr unsigned kBytes = decltype(size)::value;
    eachLane(access.lanes, [&](unsigned lane) {
      auto self = static_cast<uint16_t>(warp.index * kLanes + lane + 1);
      Cell *touched = cells + (access.offset[lane] >> shift);
      bool fine = true;
      for (unsigned i = 0; i < count; ++i) {
        const Cell &cell = touched[i];
        fine &= cell.pending == 0 && orderedCell(warp, self, cell.writer, cell.writeClock) &&
                orderedCell(warp, self, cell.reader[0], cell.readClock[0]) &&
                orderedCell(warp, self, cell.reader[1], cell.readClock[1]);
      }
      if (fine)
        for (unsigned i = 0; i < count; ++i)
          touched[i].noteWriter(self, now, false);
      else
        sharedWriteFaults(warp, inst, lane, access, values + lane * kBytes, false);
      for (unsigned i = 0; async && i < count; ++i)
        touched[i].pending = self;
      // Now, so that lanes that write to one place are seen to.
      std::memcpy(access.data(lane), values + lane * kBytes, kBytes);
    });
  });
}

void BlockRun::sharedWriteFaults(Warp &warp, const Inst &inst, unsigned lane, const Access &access, const void *value,
                                 bool atomic) {
  auto self = static_cast<uint16_t>(warp.index * kLanes + lane + 1);
  const unsigned shift = program.sharedGrain;
  uint32_t writer = 0, reader = 0, pending = 0;
  for (uint64_t i = access.offset[lane] >> shift; i <= (access.offset[lane] + access.bytes - 1) >> shift; ++i) {
    Cell &cell = scratch.cells[i];
    if (cell.pending)
      pending = cell.pending;
    if (!(atomic && cell.atomic) && !ordered(warp, self, cell.writer, cell.writeClock))
      writer = cell.writer;
    for (unsigned r = 0; r < 2; ++r)
      if (!ordered(warp, self, cell.reader[r], cell.readClock[r]))
        reader = cell.reader[r];
    cell.noteWriter(self, warp.clock[warp.index], atomic);
  }
  if (!launch.options.checkRaces)
    return;
  if (pending)
    fault(FaultKind::MissingAsyncWait, warp, inst, lane, access.addresses[lane], access.bytes,
          concat("write to shared memory that a cp.async of ", nameOf(pending - 1), " still writes"));
  else if (reader)
    sharedRace(warp, inst, lane, access, "write to what was read by", reader);
  // Threads that all write the same value do no harm, whichever comes last.
  else if (writer && !(value && std::memcmp(access.data(lane), value, access.bytes) == 0))
    sharedRace(warp, inst, lane, access, "write to what was written by", writer);
}

void BlockRun::beginAsync(Warp &warp, const Inst &inst, const Access &access, const void *values) {
  bool watched = launch.options.checkRaces;
  sharedWrite(warp, inst, access, static_cast<const uint8_t *>(values), watched);
  if (watched)
    eachLane(access.lanes, [&](unsigned lane) {
      warp.async.push_back({static_cast<uint32_t>(access.offset[lane]), warp.asyncGroup[lane],
                            static_cast<uint8_t>(lane), static_cast<uint8_t>(access.bytes)});
    });
}

void BlockRun::finishAsync(Warp &warp, const AsyncCopy &copy) {
  unsigned shift = program.sharedGrain;
  auto self = static_cast<uint16_t>(warp.index * kLanes + copy.lane + 1);
  for (uint64_t i = copy.offset >> shift; i <= (copy.offset + copy.bytes - 1u) >> shift; ++i) {
    Cell &cell = scratch.cells[i];
    if (cell.pending != self)
      continue;
    cell.pending = 0;
    // From here on it is a write of this thread like any other: the rest of the block needs a barrier.
    cell.noteWriter(self, warp.clock[warp.index], false);
  }
}

} // namespace peer::runtime::sim
