// ld and st.

#include "ExecuteAccess.h"

#include <cstring>

namespace peer::runtime::sim {

void laneAddresses(Warp &warp, const Inst &inst, unsigned place, uint64_t offset, uint64_t *addresses) {
  if (inst.flags & kWide) {
    const uint64_t *base = warp.lanes<uint64_t>(inst.s[place]);
    PEER_LANES addresses[lane] = base[lane] + offset;
  } else {
    const uint32_t *base = warp.lanes<uint32_t>(inst.s[place]);
    PEER_LANES addresses[lane] = base[lane] + static_cast<uint32_t>(offset);
  }
}

void noteGrain(Form &form, Space space, unsigned bytes) {
  auto grain = static_cast<unsigned>(std::countr_zero(bytes));
  Program &program = form.program();
  if (space == Space::Global || space == Space::Const || space == Space::Generic)
    program.globalGrain = std::min(program.globalGrain, grain);
  if (space == Space::Shared || space == Space::Generic)
    program.sharedGrain = std::min(program.sharedGrain, grain);
}

bool takeSpace(Form &form, Space &space) {
  constexpr std::pair<std::string_view, Space> names[] = {
      {"global", Space::Global},      {"const", Space::Const},      {"shared", Space::Shared},
      {"shared::cta", Space::Shared}, {"local", Space::Local},      {"param", Space::Param},
      {"param::entry", Space::Param}, {"param::func", Space::Param}};
  for (auto [name, which] : names)
    if (form.take(name)) {
      space = which;
      return true;
    }
  space = Space::Generic;
  return false;
}

bool takeStrength(Form &form) {
  bool strong = false;
  for (std::string_view name : {"volatile", "relaxed", "acquire", "release", "acq_rel"})
    strong |= form.take(name);
  for (std::string_view scope : {"cta", "cluster", "gpu", "sys"})
    form.take(scope);
  form.take("weak");
  return strong;
}

namespace {
/// Element T in memory, register R: R may be wider, the value is extended as T's sign says.
template <typename T, typename R>
void loadLanes(Warp &warp, const Inst &inst, Mask mask) {
  uint64_t addresses[kLanes];
  laneAddresses(warp, inst, 1, inst.imm, addresses);
  unsigned bytes = inst.count * static_cast<unsigned>(sizeof(T));
  const uint32_t *slots = inst.count == 1 ? &inst.s[0] : warp.list(inst);
  Mask good = 0;
  eachAccess(warp, inst, mask, inst.space, addresses, bytes, false, [&](const Access &access) {
    // Parameters are always there.
    if (inst.space != Space::Param)
      warp.block.noteRead(warp, inst, access);
    good |= access.lanes;
    for (unsigned e = 0; e < inst.count; ++e) {
      R *to = warp.lanes<R>(slots[e]);
      const uint8_t *from = access.base + e * sizeof(T);
      auto value = [&](unsigned lane) {
        T read;
        std::memcpy(&read, from + access.offset[lane], sizeof(T));
        return static_cast<R>(read);
      };
      if (access.pattern == Access::Pattern::Same && access.lanes == kAllLanes)
        std::fill_n(to, kLanes, value(0));
      else if (access.pattern == Access::Pattern::Consecutive && access.lanes == kAllLanes && inst.count == 1 &&
               sizeof(T) == sizeof(R))
        std::memcpy(to, access.data(0), kLanes * sizeof(T));
      else
        eachLane(access.lanes, [&](unsigned lane) { to[lane] = value(lane); });
    }
  });
  for (unsigned e = 0; good != mask && e < inst.count; ++e)
    writeLanes<R>(warp, slots[e], mask & ~good, [](unsigned) { return R{0}; });
}

/// kAligned: a release, which is a fence too.
template <typename T, typename R>
void storeLanes(Warp &warp, const Inst &inst, Mask mask) {
  uint64_t addresses[kLanes];
  laneAddresses(warp, inst, 1, inst.imm, addresses);
  if (inst.flags & kAligned)
    warp.block.fence();
  const unsigned count = inst.count;
  const uint32_t *slots = count == 1 ? &inst.s[0] : warp.list(inst);
  constexpr unsigned kMostBytes = 32;
  T values[kLanes * kMostBytes / sizeof(T)];
  for (unsigned e = 0; e < count; ++e) {
    const R *from = warp.lanes<R>(slots[e]);
    for (unsigned lane = 0; lane < kLanes; ++lane)
      values[lane * count + e] = static_cast<T>(from[lane]);
  }
  eachAccess(warp, inst, mask, inst.space, addresses, count * static_cast<unsigned>(sizeof(T)), true,
             [&](const Access &access) { warp.block.write(warp, inst, access, values); });
}

template <typename F>
void withElement(Type type, F f) {
  switch (byteWidth(type)) {
  case 1:
    return type == Type::S8 ? f(int8_t{}) : f(uint8_t{});
  case 2:
    return type == Type::S16 ? f(int16_t{}) : f(uint16_t{});
  case 4:
    return type == Type::S32 ? f(int32_t{}) : f(uint32_t{});
  default:
    return f(uint64_t{});
  }
}

void loadOrStore(Form &form) {
  Inst &inst = form.inst;
  bool load = form.name() != "st";
  if (form.name() == "ldu")
    form.take("nc");
  form.takeHints();
  if (form.has("acquire") || form.has("release")) {
    inst.flags |= kAligned;
    form.program().fences = true;
  }
  inst.flags |= takeStrength(form) ? kStrong : 0;
  Space space;
  takeSpace(form, space);
  inst.count = form.take("v2") ? 2 : form.take("v4") ? 4 : form.take("v8") ? 8 : 1;
  Type type = form.type();
  if (type == Type::Pred || !form.wantOperands(2, 2))
    return form.unknown();
  size_t memory = load ? 1 : 0, value = load ? 0 : 1;
  form.address(memory, 1, space);
  inst.space = space;
  unsigned element = byteWidth(type), bytes = element * inst.count;
  if (bytes > 32)
    return form.unknown();
  inst.size = static_cast<uint8_t>(element);
  noteGrain(form, space, bytes);
  const Operand &values = form.operand(value);
  const bool list = values.kind == Operand::Kind::List;
  if (list != (inst.count > 1) || (list && values.parts.size() != inst.count))
    return form.fail("expected ", unsigned{inst.count}, " values");
  // Registers may be wider than the element, all by as much.
  unsigned width = std::max(element, 2u);
  std::vector<uint32_t> slots;
  auto each = [&](const Operand &part) { width = std::max(width, form.registerWidth(part)); };
  auto take = [&](const Operand &part) {
    Type wide = isFloat(type) && byteWidth(type) == width ? type : unsignedOfWidth(width);
    slots.push_back(load ? form.destOf(part, wide) : form.sourceOf(part, wide));
  };
  if (list) {
    for (const Operand &part : values.parts)
      each(part);
    for (const Operand &part : values.parts)
      take(part);
    inst.list = form.addList(slots);
  } else {
    each(values);
    take(values);
    inst.s[0] = slots[0];
  }
  withElement(type, [&](auto t) {
    using T = decltype(t);
    if (width == 2)
      inst.run = load ? loadLanes<T, uint16_t> : storeLanes<T, uint16_t>;
    else if (width == 4)
      inst.run = load ? loadLanes<T, uint32_t> : storeLanes<T, uint32_t>;
    else
      inst.run = load ? loadLanes<T, uint64_t> : storeLanes<T, uint64_t>;
  });
}

void nothing(Warp &, const Inst &, Mask) {}
/// A hint; the address must still parse.
void prefetch(Form &form) {
  for (std::string_view level : {"L1", "L2", "L2::evict_last", "L2::evict_normal"})
    form.take(level);
  Space space;
  takeSpace(form, space);
  form.address(0, 1, space);
  form.inst.run = nothing;
}
} // namespace

void addMemoryHandlers(HandlerTable &table) {
  table["ld"] = loadOrStore;
  table["ldu"] = loadOrStore;
  table["st"] = loadOrStore;
  table["prefetch"] = prefetch;
}

} // namespace peer::runtime::sim
