// mov with its packing forms, address conversion, clocks.

#include "Lanes.h"

#include <cstring>

namespace peer::runtime::sim {

namespace {
template <typename T>
void moveLanes(Warp &warp, const Inst &inst, Mask mask) {
  const T *a = warp.lanes<T>(inst.s[1]);
  writeLanes<T>(warp, inst.s[0], mask, [a](unsigned lane) { return a[lane]; });
}
void movePredicate(Warp &warp, const Inst &inst, Mask mask) {
  warp.setPredicate(inst.s[0], warp.predicate(inst.s[1]), mask);
}

/// {parts} to one register: size is a part's, count their number.
void pack(Warp &warp, const Inst &inst, Mask mask) {
  const uint32_t *parts = warp.list(inst);
  auto *to = warp.lanes<uint8_t>(inst.s[0]);
  unsigned whole = inst.size * inst.count;
  for (unsigned part = 0; part < inst.count; ++part) {
    const auto *from = warp.lanes<uint8_t>(parts[part]);
    eachLane(mask, [&](unsigned lane) {
      std::memcpy(to + lane * whole + part * inst.size, from + lane * inst.size, inst.size);
    });
  }
}
void unpack(Warp &warp, const Inst &inst, Mask mask) {
  const uint32_t *parts = warp.list(inst);
  unsigned whole = inst.size * inst.count;
  // A part may be the register that is taken apart.
  uint8_t from[kLanes * 8];
  std::memcpy(from, warp.lanes<uint8_t>(inst.s[1]), kLanes * whole);
  for (unsigned part = 0; part < inst.count; ++part) {
    auto *to = warp.lanes<uint8_t>(parts[part]);
    eachLane(mask, [&](unsigned lane) {
      std::memcpy(to + lane * inst.size, from + lane * whole + part * inst.size, inst.size);
    });
  }
}
/// One tick per instruction of the warp.
template <typename T>
void clockLanes(Warp &warp, const Inst &inst, Mask mask) {
  auto now = static_cast<T>(warp.instructions);
  writeLanes<T>(warp, inst.s[0], mask, [now](unsigned) { return now; });
}
void activeLanes(Warp &warp, const Inst &inst, Mask mask) {
  writeLanes<uint32_t>(warp, inst.s[0], mask, [mask](unsigned) { return mask; });
}

bool moveList(Form &form, const Operand &list, Type type, bool packing) {
  unsigned count = static_cast<unsigned>(list.parts.size()), width = byteWidth(type);
  if (count != 2 && count != 4)
    return false;
  Type part = unsignedOfWidth(width / count);
  if (width / count < 2)
    return false;
  std::vector<uint32_t> slots;
  for (const Operand &each : list.parts)
    slots.push_back(packing ? form.sourceOf(each, part) : form.destOf(each, part));
  form.inst.list = form.addList(slots);
  form.inst.count = static_cast<uint8_t>(count);
  form.inst.size = static_cast<uint8_t>(width / count);
  return true;
}

void mov(Form &form) {
  Type type = form.type();
  if (!form.wantOperands(2, 2))
    return;
  Inst &inst = form.inst;
  const Operand &to = form.operand(0), &from = form.operand(1);
  if (from.kind == Operand::Kind::List) {
    if (!moveList(form, from, type, true))
      return form.unknown();
    inst.s[0] = form.dest(0, type);
    inst.run = pack;
    return;
  }
  if (to.kind == Operand::Kind::List) {
    if (!moveList(form, to, type, false))
      return form.unknown();
    inst.s[1] = form.source(1, type);
    inst.run = unpack;
    return;
  }
  inst.s[0] = form.dest(0, type);
  if (from.kind == Operand::Kind::Special &&
      (from.name == "%clock" || from.name == "%clock64" || from.name == "%globaltimer")) {
    inst.run = byteWidth(type) == 8 ? clockLanes<uint64_t> : clockLanes<uint32_t>;
    return;
  }
  inst.s[1] = form.source(1, type);
  if (type == Type::Pred)
    inst.run = movePredicate;
  else
    withBits(type, [&](auto t) { inst.run = moveLanes<decltype(t)>; });
}

/// imm is added to the address.
void offsetLanes(Warp &warp, const Inst &inst, Mask mask) {
  const uint64_t *a = warp.lanes<uint64_t>(inst.s[1]);
  uint64_t offset = inst.imm;
  writeLanes<uint64_t>(warp, inst.s[0], mask, [=](unsigned lane) { return a[lane] + offset; });
}

uint64_t windowOf(Form &form, bool &known) {
  known = true;
  if (form.take("shared") || form.take("shared::cta"))
    return kSharedWindow;
  if (form.take("local"))
    return kLocalWindow;
  if (form.take("param") || form.take("param::entry"))
    return kParamWindow;
  known = form.take("global") || form.take("const");
  return 0;
}

void cvta(Form &form) {
  bool back = form.take("to"), known;
  uint64_t window = windowOf(form, known);
  Type type = form.type();
  if (!known || type != Type::U64)
    return form.unknown();
  // Parameters that a call passes live in local memory, whose window they then belong to.
  if (window == kParamWindow && form.operand(1).kind == Operand::Kind::Variable)
    form.fail("the address of a parameter is taken by mov first");
  sameTypeOperands(form, type, 1);
  form.inst.imm = back ? 0 - window : window;
  form.inst.run = offsetLanes;
}

void inWindow(Warp &warp, const Inst &inst, Mask mask) {
  const uint64_t *a = warp.lanes<uint64_t>(inst.s[1]);
  Mask r = lanesWhere([&](unsigned lane) {
    uint64_t window = a[lane] & kWindowMask;
    bool special = window == kSharedWindow || window == kLocalWindow || window == kParamWindow;
    return inst.imm ? window == inst.imm : !special;
  });
  warp.setPredicate(inst.s[0], r, mask);
}
void isspacep(Form &form) {
  bool known;
  form.inst.imm = windowOf(form, known);
  if (!known)
    return form.unknown();
  typedOperands(form, {Type::Pred, Type::U64});
  form.inst.run = inWindow;
}
void activemask(Form &form) {
  form.type();
  if (!form.wantOperands(1, 1))
    return;
  form.inst.s[0] = form.dest(0, Type::U32);
  form.inst.run = activeLanes;
}
} // namespace

void addMoveHandlers(HandlerTable &table) {
  table["mov"] = mov;
  table["cvta"] = cvta;
  table["isspacep"] = isspacep;
  table["activemask"] = activemask;
}

} // namespace peer::runtime::sim
