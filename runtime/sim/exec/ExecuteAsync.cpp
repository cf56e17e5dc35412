// cp.async: copies happen when they are issued, and count as under way until the thread waits for them.

#include "ExecuteAccess.h"

#include <cstring>

namespace peer::runtime::sim {

namespace {
/// s[0] target, s[1] source, s[2] how many bytes of the source; the rest is zero. Offsets: imm the target's, target the source's.
void copyLanes(Warp &warp, const Inst &inst, Mask mask) {
  uint64_t to[kLanes], from[kLanes];
  Inst source = inst;
  source.flags = inst.kind ? inst.flags | kWide : inst.flags & ~uint32_t{kWide};
  Inst target = inst;
  target.flags = inst.kind2 ? inst.flags | kWide : inst.flags & ~uint32_t{kWide};
  laneAddresses(warp, target, 0, inst.imm, to);
  laneAddresses(warp, source, 1, static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(inst.target))), from);
  BlockRun &block = warp.block;
  const uint32_t *wanted = warp.lanes<uint32_t>(inst.s[2]);
  const unsigned bytes = inst.size;
  uint8_t values[kLanes * 16] = {};
  Access targets;
  block.locate(warp, inst, mask, Space::Shared, to, bytes, true, targets);
  Mask whole = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    whole |= Mask{wanted[lane] >= bytes} << lane;
  eachAccess(warp, inst, targets.lanes & whole, Space::Global, from, bytes, false, [&](const Access &access) {
    block.noteRead(warp, inst, access);
    eachLane(access.lanes, [&](unsigned lane) { std::memcpy(values + lane * bytes, access.data(lane), bytes); });
  });
  // A copy cut short reads no further than it says.
  Mask cut = targets.lanes & ~whole;
  for (unsigned i = 0; i < bytes && cut; ++i) {
    Mask reading = 0, read = 0;
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      reading |= Mask{wanted[lane] > i} << lane;
      from[lane] += i != 0;
    }
    eachAccess(warp, inst, cut & reading, Space::Global, from, 1, false, [&](const Access &access) {
      block.noteRead(warp, inst, access);
      eachLane(access.lanes, [&](unsigned lane) { values[lane * bytes + i] = *access.data(lane); });
      read |= access.lanes;
    });
    cut = read;
  }
  if (targets.lanes)
    block.beginAsync(warp, inst, targets, values);
}

void commit(Warp &warp, const Inst &, Mask mask) {
  for (unsigned lane = 0; lane < kLanes; ++lane)
    warp.asyncGroup[lane] += in(mask, lane);
}

/// All but the imm latest groups are complete; kind: copies outside of any group too.
void wait(Warp &warp, const Inst &inst, Mask mask) {
  if (inst.kind)
    commit(warp, inst, mask);
  std::erase_if(warp.async, [&](const AsyncCopy &copy) {
    bool done = in(mask, copy.lane) && copy.group + inst.imm < warp.asyncGroup[copy.lane];
    if (done)
      warp.block.finishAsync(warp, copy);
    return done;
  });
}

void cp(Form &form) {
  Inst &inst = form.inst;
  if (!form.take("async"))
    return form.unknown();
  if (form.take("commit_group")) {
    inst.run = commit;
    return;
  }
  if (form.take("wait_group")) {
    if (form.wantOperands(1, 1))
      inst.imm = form.immediate(0);
    inst.run = wait;
    return;
  }
  if (form.take("wait_all")) {
    inst.kind = 1;
    inst.run = wait;
    return;
  }
  bool all = form.take("ca"), global = !all && form.take("cg");
  bool shared = form.take("shared") || form.take("shared::cta");
  bool source = form.take("global");
  form.takeHints();
  if (!(all || global) || !shared || !source || !form.wantOperands(3, 4))
    return form.unknown();
  uint64_t bytes = form.immediate(2);
  if (bytes != 16 && (global || (bytes != 4 && bytes != 8)))
    return form.fail("copies of ", bytes, " bytes do not exist");
  inst.size = static_cast<uint8_t>(bytes);
  Space sharedSpace = Space::Shared, globalSpace = Space::Global;
  form.address(1, 1, globalSpace);
  inst.kind = (inst.flags & kWide) != 0;
  uint64_t sourceOffset = inst.imm;
  inst.target = static_cast<uint32_t>(sourceOffset);
  inst.flags &= ~uint32_t{kWide};
  form.address(0, 0, sharedSpace);
  inst.kind2 = (inst.flags & kWide) != 0;
  if (static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(inst.target))) != sourceOffset)
    return form.fail("offset out of range");
  inst.s[2] = form.operands() == 4 ? form.source(3, Type::U32) : form.constant(inst.size);
  noteGrain(form, Space::Shared, inst.size);
  noteGrain(form, Space::Global, inst.size);
  inst.run = copyLanes;
}
} // namespace

void addAsyncHandlers(HandlerTable &table) { table["cp"] = cp; }

} // namespace peer::runtime::sim
