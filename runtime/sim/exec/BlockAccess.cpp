// Every access of memory: bounds and alignment, what was written before, which other block was there.

#include "Block.h"
#include "Lanes.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime::sim {

namespace {
using Pattern = Access::Pattern;

/// Whether the lanes of a mask, without holes, go up by `bytes` from the first.
bool consecutive(const uint64_t *offset, Mask mask, unsigned bytes) {
  auto first = static_cast<unsigned>(std::countr_zero(mask));
  Mask from = mask >> first;
  if (from & (from + 1))
    return false;
  uint64_t next = offset[first];
  for (unsigned lane = first; lane < first + static_cast<unsigned>(std::popcount(mask)); ++lane, next += bytes)
    if (offset[lane] != next)
      return false;
  return true;
}
} // namespace

void BlockRun::locate(Warp &warp, const Inst &inst, Mask mask, Space space, const uint64_t *addresses, unsigned bytes,
                      bool write, Access &access) {
  auto first = static_cast<unsigned>(std::countr_zero(mask));
  const uint64_t start = addresses[first];
  Region region;
  region.space = space;
  if (space == Space::Generic) {
    uint64_t window = start & kWindowMask;
    region.space = window == kSharedWindow  ? Space::Shared
                   : window == kLocalWindow ? Space::Local
                   : window == kParamWindow ? Space::Param
                                            : Space::Global;
    region.key = kWindowMask;
    region.offsets = ~kWindowMask;
  }
  switch (region.space) {
  case Space::Shared:
    region.base = scratch.shared.data();
    region.room = launch.sharedBytes;
    break;
  case Space::Local:
    region.base = scratch.local.data();
    region.room = program.localBytes;
    break;
  case Space::Param:
    // Never written: it says so below.
    region.base = const_cast<uint8_t *>(launch.parameters.data());
    region.room = launch.parameters.size();
    region.writable = false;
    break;
  default:
    region.space = Space::Global;
    region.key = ~kOffsetMask;
    region.offsets = kOffsetMask;
    region.allocation = launch.memory.find(start);
    if (region.allocation && !region.allocation->freed) {
      region.base = region.allocation->data;
      region.room = region.allocation->bytes;
      region.writable = !region.allocation->constant;
    }
  }
  access.space = region.space;
  access.pattern = Pattern::Scattered;
  access.bytes = bytes;
  access.allocation = region.allocation;
  access.base = region.base;
  access.addresses = addresses;

  // All lanes at once, those that take no part like the first: bits that only a wrong access sets. Where there is less
  // room than one access takes, `limit` is negative, and so is what is left of it behind any aligned offset.
  uint64_t apart = 0, odd = 0, over = 0, differ = 0;
  const uint64_t limit = region.room - bytes, offsets = region.offsets;
  uint64_t filled[kLanes];
  if (mask != kAllLanes) {
    std::fill_n(filled, kLanes, start);
    eachLane(mask, [&](unsigned lane) { filled[lane] = addresses[lane]; });
  }
  const uint64_t *from = mask == kAllLanes ? addresses : filled;
  PEER_LANES {
    uint64_t offset = from[lane] & offsets;
    access.offset[lane] = offset;
    differ |= from[lane] ^ start;
    odd |= offset;
    over |= (limit - offset) | offset;
  }
  apart = differ & region.key;
  if (apart || (odd & (bytes - 1)) || over >> 63 || (write && !region.writable)) {
    locateEach(warp, inst, mask, region, write, access);
  } else {
    access.taken = access.lanes = mask;
    if (differ == 0)
      access.pattern = Pattern::Same;
    else if (consecutive(access.offset, mask, bytes))
      access.pattern = Pattern::Consecutive;
  }
  if (region.space == Space::Local) {
    access.pattern = Pattern::Scattered;
    for (unsigned lane = 0; lane < kLanes; ++lane)
      access.offset[lane] += uint64_t{warp.index * kLanes + lane} * program.localBytes;
  }
}

std::string BlockRun::outOfBounds(const Region &region, uint64_t offset) const {
  const Allocation *allocation = region.allocation;
  if (region.space != Space::Global)
    return concat(spaceName(region.space), " memory has ", region.room, " bytes");
  if (!allocation)
    return "no memory there";
  return concat(allocation->freed ? "freed memory" : "offset ", allocation->freed ? "" : std::to_string(offset),
                " of an allocation of ", allocation->bytes, " bytes", allocation->name.empty() ? "" : " named ",
                allocation->name);
}

/// As locate, lane by lane, because something is wrong or they lead to several places.
void BlockRun::locateEach(Warp &warp, const Inst &inst, Mask mask, const Region &region, bool write, Access &access) {
  const uint64_t start = access.addresses[std::countr_zero(mask)];
  const unsigned bytes = access.bytes;
  access.taken = access.lanes = 0;
  eachLane(mask, [&](unsigned lane) {
    uint64_t address = access.addresses[lane], offset = address & region.offsets;
    if ((address ^ start) & region.key)
      return;
    access.taken |= Mask{1} << lane;
    bool global = region.space == Space::Global;
    if (offset > region.room || bytes > region.room - offset || (!global && write && !region.writable))
      fault(FaultKind::OutOfBounds, warp, inst, lane, address, bytes, outOfBounds(region, offset));
    else if (offset & (bytes - 1))
      fault(FaultKind::Misaligned, warp, inst, lane, address, bytes, concat(spaceName(region.space), " memory"));
    else if (write && !region.writable)
      fault(FaultKind::OutOfBounds, warp, inst, lane, address, bytes, "constant memory is not written by kernels");
    else
      access.lanes |= Mask{1} << lane;
  });
}

bool BlockRun::globalRaces(uint32_t other) const {
  // Of several readers one is not known by name, so it cannot be told whether all came before.
  return other != 0 && !(other == BlockShadow::kMany ? fenced : BlockOrder::knows(known, other - 1));
}

void BlockRun::unwritten(Warp &warp, const Inst &inst, unsigned lane, const Access &access) {
  fault(FaultKind::Uninitialised, warp, inst, lane, access.addresses[lane], access.bytes,
        concat(spaceName(access.space), " memory"));
}

void BlockRun::noteRead(Warp &warp, const Inst &inst, const Access &access) {
  if (access.space == Space::Global)
    return globalRead(warp, inst, access);
  if (access.space == Space::Shared)
    return sharedRead(warp, inst, access);
  if (access.space == Space::Local && launch.options.checkUninitialised)
    eachLane(access.lanes, [&](unsigned lane) {
      const uint8_t *written = scratch.localWritten.data() + access.offset[lane];
      if (!std::all_of(written, written + access.bytes, [](uint8_t byte) { return byte != 0; }))
        unwritten(warp, inst, lane, access);
    });
}

void BlockRun::globalRead(Warp &warp, const Inst &inst, const Access &access) {
  Allocation *allocation = access.allocation;
  if (launch.options.checkUninitialised &&
      !access.eachRange([&](uint64_t offset, uint64_t bytes) { return allocation->written(offset, bytes); }))
    eachLane(access.lanes, [&](unsigned lane) {
      if (!allocation->written(access.offset[lane], access.bytes))
        unwritten(warp, inst, lane, access);
    });
  if (inst.flags & kStrong) {
    if (program.fences)
      eachLane(access.lanes,
               [&](unsigned lane) { launch.order.meet(access.addresses[lane], blockNumber, known, false); });
    return;
  }
  if (!watchBlocks)
    return;
  BlockShadow &shadow = allocation->shadow;
  shadow.prepare(launch.number, program.globalGrain, allocation->bytes);
  if (access.eachRange([&](uint64_t offset, uint64_t bytes) { return shadow.read(offset, bytes, blockNumber); }))
    return;
  eachLane(access.lanes, [&](unsigned lane) {
    for (unsigned i = 0; i < access.bytes; i += 1u << program.globalGrain)
      if (uint32_t other = shadow.readGranule(access.offset[lane] + i, blockNumber); globalRaces(other)) {
        fault(FaultKind::GlobalRace, warp, inst, lane, access.addresses[lane], access.bytes,
              concat("read of what block ", other - 1, " writes in the same launch"));
        break;
      }
  });
}

void BlockRun::noteGlobalWrite(Warp &warp, const Inst &inst, const Access &access, const uint8_t *values) {
  Allocation *allocation = access.allocation;
  access.eachRange([&](uint64_t offset, uint64_t bytes) {
    allocation->markWritten(offset, bytes);
    return true;
  });
  if (inst.flags & kStrong) {
    if (program.fences)
      eachLane(access.lanes,
               [&](unsigned lane) { launch.order.meet(access.addresses[lane], blockNumber, known, fenced); });
    return;
  }
  if (!watchBlocks)
    return;
  BlockShadow &shadow = allocation->shadow;
  shadow.prepare(launch.number, program.globalGrain, allocation->bytes);
  if (access.eachRange([&](uint64_t offset, uint64_t bytes) { return shadow.write(offset, bytes, blockNumber); }))
    return;
  eachLane(access.lanes, [&](unsigned lane) {
    for (unsigned i = 0; i < access.bytes; i += 1u << program.globalGrain)
      if (uint32_t other = shadow.writeGranule(access.offset[lane] + i, blockNumber);
          globalRaces(other) && std::memcmp(access.data(lane), values + lane * access.bytes, access.bytes) != 0) {
        std::string who = other == BlockShadow::kMany ? std::string("other blocks read")
                                                      : concat("block ", other - 1, " reads or writes");
        fault(FaultKind::GlobalRace, warp, inst, lane, access.addresses[lane], access.bytes,
              concat("write to what ", who, " in the same launch"));
        break;
      }
  });
}

void BlockRun::store(const Access &access, const uint8_t *values) {
  withSize(access.bytes, [&](auto size) {
    constexpr unsigned kBytes = decltype(size)::value;
    eachLane(access.lanes, [&](unsigned lane) { std::memcpy(access.data(lane), values + lane * kBytes, kBytes); });
  });
}

void BlockRun::write(Warp &warp, const Inst &inst, const Access &access, const void *values) {
  const auto *from = static_cast<const uint8_t *>(values);
  if (access.space == Space::Shared)
    return sharedWrite(warp, inst, access, from, false);
  if (access.space == Space::Global)
    noteGlobalWrite(warp, inst, access, from);
  else
    eachLane(access.lanes,
             [&](unsigned lane) { std::memset(scratch.localWritten.data() + access.offset[lane], 1, access.bytes); });
  store(access, from);
}

void BlockRun::noteAtomic(Warp &warp, const Inst &inst, unsigned lane, const Access &access) {
  bool written = true;
  if (access.space == Space::Global) {
    written = access.allocation->written(access.offset[lane], access.bytes);
    if (program.fences)
      launch.order.meet(access.addresses[lane], blockNumber, known, fenced);
  } else if (access.space == Space::Shared && watchShared) {
    uint64_t begin = access.offset[lane] >> program.sharedGrain,
             end = (access.offset[lane] + access.bytes - 1) >> program.sharedGrain;
    for (uint64_t i = begin; i <= end; ++i)
      written &= scratch.cells[i].writeClock > scratch.clockBase;
    sharedWriteFaults(warp, inst, lane, access, nullptr, true);
  }
  if (!written && launch.options.checkUninitialised)
    fault(FaultKind::Uninitialised, warp, inst, lane, access.addresses[lane], access.bytes, "by an atomic operation");
}

} // namespace peer::runtime::sim
