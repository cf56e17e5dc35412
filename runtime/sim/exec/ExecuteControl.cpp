// Branches, barriers, the end of threads. Warp::control does what these ask for.

#include "Lanes.h"

namespace peer::runtime::sim {

namespace {
void nothing(Warp &, const Inst &, Mask) {}

void bra(Form &form) {
  form.take("uni");
  form.wantOperands(1, 1);
  form.inst.control = Control::Branch;
}
void brx(Form &form) {
  form.take("uni");
  if (!form.take("idx") || !form.wantOperands(2, 2))
    return form.unknown();
  size_t targets = form.operand(1).parts.size();
  if (targets == 0 || targets > 255)
    return form.fail("branch tables have 1 to 255 targets, not ", targets);
  form.inst.s[0] = form.source(0, Type::U32);
  form.inst.count = static_cast<uint8_t>(targets);
  form.inst.list = form.addList(std::vector<uint32_t>(targets));
  form.inst.control = Control::BranchIndexed;
}
void leave(Form &form) {
  form.take("uni");
  form.wantOperands(0, 0);
  form.inst.control = Control::Exit;
}
void trap(Form &form) { form.inst.control = Control::Trap; }
void nanosleep(Form &form) {
  form.type();
  form.inst.run = nothing;
}

void orderLanes(Warp &warp, const Inst &, Mask) { warp.block.orderWarp(warp); }

/// s[0] result, s[1] barrier, s[2] threads (kSaturate says that there are), s[3] predicate; kind 1 arrives without waiting; kind2 is
/// what becomes of the predicates: 0 their number, 1 and, 2 or.
void barrier(Form &form) {
  Inst &inst = form.inst;
  if (form.take("warp")) {
    if (!form.take("sync") || !form.wantOperands(1, 1))
      return form.unknown();
    inst.s[5] = form.source(0, Type::B32);
    inst.control = Control::WarpSync;
    inst.run = orderLanes;
    return;
  }
  form.take("cta");
  bool aligned = form.name() == "bar" || form.take("aligned");
  form.take("aligned");
  inst.flags |= aligned ? kAligned : 0;
  bool sync = form.take("sync"), arrive = !sync && form.take("arrive"), reduce = !sync && !arrive && form.take("red");
  size_t first = reduce ? 1 : 0, count = form.operands() - first;
  if (!sync && !arrive && !reduce)
    return form.unknown();
  if (reduce) {
    bool number = form.take("popc"), all = !number && form.take("and");
    inst.kind2 = number ? 0 : all ? 1 : form.take("or") ? 2 : 3;
    Type type = form.type();
    if (inst.kind2 == 3 || (type == Type::Pred) == number || form.operands() < 3)
      return form.unknown();
    inst.flags |= kHasResult;
    inst.s[0] = form.dest(0, type);
    inst.s[3] = form.source(form.operands() - 1, Type::Pred, kNegateA);
    --count;
  }
  if (count < (arrive ? 2u : 1u) || count > 2)
    return form.fail("wrong number of operands");
  inst.s[1] = form.source(first, Type::U32);
  if (count == 2) {
    inst.s[2] = form.source(first + 1, Type::U32);
    inst.flags |= kSaturate;
  }
  inst.kind = arrive;
  inst.control = Control::Barrier;
}
} // namespace

void addControlHandlers(HandlerTable &table) {
  table["bra"] = bra;
  table["brx"] = brx;
  table["ret"] = leave;
  table["exit"] = leave;
  table["trap"] = trap;
  table["nanosleep"] = nanosleep;
  table["bar"] = barrier;
  table["barrier"] = barrier;
}

} // namespace peer::runtime::sim
