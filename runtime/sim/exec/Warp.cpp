#include "Warp.h"

#include "Block.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime::sim {

Warp::Warp(BlockRun &block, uint32_t index, const Program &program, std::byte *registers)
    : block(block), program(program), index(index), registers(registers) {
  std::memset(registers, 0, program.registerBytes);
  for (const Program::Constant &constant : program.constants)
    if (constant.width == 0)
      predicate(constant.slot) = static_cast<Mask>(constant.bits);
    else
      setLanes(constant.slot, constant.width, [&](unsigned) { return constant.bits; });
  for (const Program::SpecialSlot &special : program.specials)
    setLanes(special.slot, special.width, [&](unsigned lane) { return block.special(special.what, index, lane); });
}

template <typename F>
void Warp::setLanes(uint32_t slot, unsigned width, F value) {
  withSize(width, [&](auto size) {
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      uint64_t bits = value(lane);
      std::memcpy(registers + slot + lane * size, &bits, std::min<size_t>(size, sizeof bits));
    }
  });
}

void Warp::start(Mask lanes) {
  live = lanes;
  parked.clear();
  async.clear();
  asyncGroup.fill(0);
  // All but the block's place are the same for every block of the launch.
  for (const Program::SpecialSlot &special : program.specials)
    if (special.what == Special::CtaidX || special.what == Special::CtaidY || special.what == Special::CtaidZ)
      setLanes(special.slot, special.width, [&](unsigned) { return block.special(special.what, index, 0); });
  if (live)
    parked.push_back({0, live, Wait::Ready, 0});
}

void Warp::park(Group group) {
  for (Group &other : parked)
    if (other.pc == group.pc && other.wait == group.wait) {
      other.mask |= group.mask;
      return;
    }
  parked.push_back(group);
}

bool Warp::pick() {
  auto best = parked.end();
  for (auto it = parked.begin(); it != parked.end(); ++it)
    if (it->wait == Wait::Ready && (best == parked.end() || priority(it->pc) < priority(best->pc)))
      best = it;
  // Lanes that exited are waited for no longer.
  for (auto it = parked.begin(); best == parked.end() && it != parked.end(); ++it)
    if (it->wait == Wait::AtWarpSync && complete(program.code[it->pc], it->mask, false))
      best = it;
  if (best == parked.end())
    return false;
  pc = best->pc;
  mask = best->mask;
  parked.erase(best);
  return true;
}

void Warp::reschedule() {
  for (size_t i = parked.size(); i-- > 0;)
    if (parked[i].pc == pc && parked[i].wait == Wait::Ready) {
      mask |= parked[i].mask;
      parked.erase(parked.begin() + static_cast<ptrdiff_t>(i));
    }
  for (const Group &other : parked)
    if (other.wait == Wait::Ready && priority(other.pc) < priority(pc)) {
      park({pc, mask, Wait::Ready, 0});
      pick();
      return;
    }
}

void Warp::run() {
  if (!pick())
    return;
  const Inst *code = program.code.data();
  while (true) {
    if (code[pc].leader && !parked.empty())
      reschedule();
    const Inst &inst = code[pc];
    Mask active = mask & (predicate(inst.guard) ^ (inst.guardNegated ? kAllLanes : 0));
    ++instructions;
    laneOperations += active == kAllLanes ? kLanes : static_cast<unsigned>(std::popcount(active));
    if (inst.control == Control::None) {
      if (active)
        inst.run(*this, inst, active);
      ++pc;
    } else if (!control(inst, active) && !pick()) {
      return;
    }
  }
}

bool Warp::control(const Inst &inst, Mask active) {
  if (active == 0) {
    ++pc;
    return true;
  }
  switch (inst.control) {
  case Control::None:
    break;
  case Control::Branch:
    if (active != mask)
      park({pc + 1, mask & ~active, Wait::Ready, 0});
    mask = active;
    // A loop without end branches back for ever.
    if (inst.target <= pc && block.overLimit(*this, inst, active))
      return false;
    pc = inst.target;
    return true;
  case Control::BranchIndexed:
    branchIndexed(inst, active);
    return false;
  case Control::Trap:
    block.fault(FaultKind::Trap, *this, inst, static_cast<unsigned>(std::countr_zero(active)), 0, 0,
                "trap instruction");
    block.abort();
    abandon();
    return false;
  case Control::Exit:
    exitLanes(active);
    mask &= ~active;
    ++pc;
    return mask != 0;
  case Control::WarpSync:
    return warpSync(inst, active);
  case Control::Barrier:
    if (active != mask)
      park({pc + 1, mask & ~active, Wait::Ready, 0});
    if (block.arrive(*this, inst, active, pc)) {
      mask = active;
      ++pc;
      return true;
    }
    return false;
  }
  return true;
}

void Warp::branchIndexed(const Inst &inst, Mask active) {
  const uint32_t *targets = list(inst);
  const uint32_t *indices = lanes<uint32_t>(inst.s[0]);
  if (active != mask)
    park({pc + 1, mask & ~active, Wait::Ready, 0});
  if (block.overLimit(*this, inst, active))
    return;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    if (active >> lane & 1)
      park({targets[std::min<uint32_t>(indices[lane], inst.count - 1u)], Mask{1} << lane, Wait::Ready, 0});
}

void Warp::exitLanes(Mask lanes) {
  live &= ~lanes;
  block.exited(static_cast<unsigned>(std::popcount(lanes)));
}

Mask Warp::complete(const Inst &inst, Mask active, bool run) {
  const uint32_t *members = lanes<uint32_t>(inst.s[5]);
  Mask done = 0;
  uint32_t apart = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    apart |= members[lane] ^ members[0];
  // Lanes at one instruction may name different masks: halves of a warp that each work on their own.
  for (Mask rest = active; rest;) {
    auto first = static_cast<unsigned>(std::countr_zero(rest));
    Mask same = apart ? 0 : rest;
    for (unsigned lane = first; apart && lane < kLanes; ++lane)
      if ((rest >> lane & 1) && members[lane] == members[first])
        same |= Mask{1} << lane;
    rest &= ~same;
    if ((members[first] & live & ~same) != 0)
      continue;
    done |= same;
    if (run && (same & ~members[first]))
      block.fault(FaultKind::DivergentWarp, *this, inst,
                  static_cast<unsigned>(std::countr_zero(same & ~members[first])), 0, 0,
                  "the thread executes a .sync instruction whose member mask leaves it out");
    if (run)
      inst.run(*this, inst, same);
  }
  return done;
}

bool Warp::warpSync(const Inst &inst, Mask active) {
  // Lanes that came here before and wait for these.
  for (size_t i = parked.size(); i-- > 0;)
    if (parked[i].pc == pc && parked[i].wait == Wait::AtWarpSync) {
      active |= parked[i].mask;
      mask |= parked[i].mask;
      parked.erase(parked.begin() + static_cast<ptrdiff_t>(i));
    }
  if (Mask waiting = active & ~complete(inst, active, true)) {
    park({pc, waiting, Wait::AtWarpSync, 0});
    mask &= ~waiting;
  }
  ++pc;
  return mask != 0;
}

void Warp::release(uint32_t barrier) {
  std::vector<Group> waiting;
  std::erase_if(parked, [&](const Group &group) {
    bool here = group.wait == Wait::AtBarrier && group.barrier == barrier;
    if (here)
      waiting.push_back({group.pc + 1, group.mask, Wait::Ready, 0});
    return here;
  });
  for (const Group &group : waiting)
    park(group);
}

void Warp::abandon() {
  parked.clear();
  if (live)
    exitLanes(live);
  mask = 0;
}

} // namespace peer::runtime::sim
