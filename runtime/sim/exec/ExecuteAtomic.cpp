// atom and red.

#include "ExecuteAccess.h"
#include "Half.h"

#include <cstring>

namespace peer::runtime::sim {

namespace {
enum Operation : uint8_t { Add, Min, Max, And, Or, Xor, Exch, Cas, Inc, Dec, kOperations };
constexpr std::string_view kNames[] = {"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"};

template <typename T>
T integerResult(uint8_t operation, T old, T b, T c) {
  switch (operation) {
  case Add:
    return static_cast<T>(Wrap<T>(old) + Wrap<T>(b));
  case Min:
    return std::min(old, b);
  case Max:
    return std::max(old, b);
  case And:
    return old & b;
  case Or:
    return old | b;
  case Xor:
    return old ^ b;
  case Exch:
    return b;
  case Cas:
    return old == b ? c : old;
  case Inc:
    return old >= b ? T{0} : static_cast<T>(old + 1);
  default:
    return old == 0 || old > b ? b : static_cast<T>(old - 1);
  }
}

template <typename T>
struct Integer {
  using Value = T;
  static T apply(uint8_t operation, T old, T b, T c) { return integerResult(operation, old, b, c); }
};
template <typename T>
struct Float {
  using Value = T;
  static T apply(uint8_t, T old, T b, T) { return old + b; }
};
/// Sums, smallest and largest of halves; one half of a pair at a time.
template <float (*Widen)(uint16_t), uint16_t (*Narrow)(float)>
struct Narrowed {
  static uint16_t one(uint8_t operation, uint16_t old, uint16_t b) {
    float x = Widen(old), y = Widen(b);
    if (operation == Add)
      return Narrow(x + y);
    if (x != x || y != y)
      return x != x ? b : old;
    return (operation == Min) == (y < x) ? b : old;
  }
};
template <float (*Widen)(uint16_t), uint16_t (*Narrow)(float)>
struct Single {
  using Value = uint16_t;
  static uint16_t apply(uint8_t operation, uint16_t old, uint16_t b, uint16_t) {
    return Narrowed<Widen, Narrow>::one(operation, old, b);
  }
};
template <float (*Widen)(uint16_t), uint16_t (*Narrow)(float)>
struct Pair {
  using Value = uint32_t;
  static uint32_t apply(uint8_t operation, uint32_t old, uint32_t b, uint32_t) {
    auto half = [&](unsigned shift) {
      return static_cast<uint32_t>(Narrowed<Widen, Narrow>::one(operation, static_cast<uint16_t>(old >> shift),
                                                                static_cast<uint16_t>(b >> shift)))
             << shift;
    };
    return half(0) | half(16);
  }
};

/// s[0] result, s[1] address, s[2] and s[3] operands, kAligned for those that are a fence too; vectors have their operands, then their results, in the list.
template <typename Op>
void atomicLanes(Warp &warp, const Inst &inst, Mask mask) {
  using T = typename Op::Value;
  uint64_t addresses[kLanes];
  laneAddresses(warp, inst, 1, inst.imm, addresses);
  BlockRun &block = warp.block;
  if (inst.flags & kAligned)
    block.fence();
  unsigned bytes = inst.count * static_cast<unsigned>(sizeof(T));
  const uint32_t *operands = inst.count == 1 ? &inst.s[2] : warp.list(inst);
  const uint32_t *results = inst.count == 1 ? &inst.s[0] : operands + inst.count;
  auto one = [&](const Access &access, unsigned lane) {
    block.noteAtomic(warp, inst, lane, access);
    uint8_t *data = access.data(lane);
    std::unique_lock<std::mutex> lock;
    if (access.space == Space::Global)
      lock = std::unique_lock(block.launch.lockFor(data));
    for (unsigned e = 0; e < inst.count; ++e, data += sizeof(T)) {
      T old;
      std::memcpy(&old, data, sizeof(T));
      T now = Op::apply(inst.kind, old, warp.lanes<T>(operands[e])[lane], warp.lanes<T>(inst.s[3])[lane]);
      std::memcpy(data, &now, sizeof(T));
      if (inst.flags & kHasResult)
        warp.lanes<T>(results[e])[lane] = old;
    }
  };
  eachAccess(warp, inst, mask, inst.space, addresses, bytes, true,
             [&](const Access &access) { eachLane(access.lanes, [&](unsigned lane) { one(access, lane); }); });
}

Execute choose(Type type, uint8_t operation) {
  bool extremum = operation == Min || operation == Max, sum = operation == Add,
       counting = operation == Inc || operation == Dec;
  switch (type) {
  case Type::F32:
    return sum ? atomicLanes<Float<float>> : nullptr;
  case Type::F64:
    return sum ? atomicLanes<Float<double>> : nullptr;
  case Type::F16:
    return sum || extremum ? atomicLanes<Single<halfToFloat, floatToHalf>> : nullptr;
  case Type::BF16:
    return sum || extremum ? atomicLanes<Single<bfloatToFloat, floatToBfloat>> : nullptr;
  case Type::F16x2:
    return sum || extremum ? atomicLanes<Pair<halfToFloat, floatToHalf>> : nullptr;
  case Type::BF16x2:
    return sum || extremum ? atomicLanes<Pair<bfloatToFloat, floatToBfloat>> : nullptr;
  case Type::B16:
    return operation == Cas ? atomicLanes<Integer<uint16_t>> : nullptr;
  case Type::S32:
    return counting ? nullptr : atomicLanes<Integer<int32_t>>;
  case Type::B32:
  case Type::U32:
    return atomicLanes<Integer<uint32_t>>;
  case Type::S64:
    return counting ? nullptr : atomicLanes<Integer<int64_t>>;
  case Type::B64:
  case Type::U64:
    return counting ? nullptr : atomicLanes<Integer<uint64_t>>;
  default:
    return nullptr;
  }
}

void atomic(Form &form) {
  Inst &inst = form.inst;
  bool hasResult = form.name() == "atom";
  // An acquire or release at device scope orders blocks like a fence.
  bool fence = form.has("acquire") || form.has("release") || form.has("acq_rel");
  fence &= form.has("gpu") || form.has("sys") || !form.has("cta");
  takeStrength(form);
  form.take("noftz");
  form.take("L1::no_allocate");
  Space space;
  takeSpace(form, space);
  inst.count = form.take("v2") ? 2 : form.take("v4") ? 4 : form.take("v8") ? 8 : 1;
  inst.kind = form.takeOneOf(kNames);
  Type type = form.type();
  if (inst.kind == kOperations || byteWidth(type) * inst.count > 16)
    return form.unknown();
  inst.run = choose(type, inst.kind);
  size_t first = hasResult ? 1 : 0, sources = inst.kind == Cas ? 2 : 1;
  if (!form.wantOperands(first + 1 + sources, first + 1 + sources))
    return;
  form.address(first, 1, space);
  if (space == Space::Local || space == Space::Param || space == Space::Const)
    return form.unknown();
  inst.space = space;
  inst.flags |= kStrong | (hasResult ? kHasResult : 0);
  noteGrain(form, space, byteWidth(type) * inst.count);
  if (inst.count > 1) {
    std::vector<uint32_t> slots;
    const Operand &values = form.operand(first + 1);
    if (values.parts.size() != inst.count || (hasResult && form.operand(0).parts.size() != inst.count))
      return form.fail("expected ", unsigned{inst.count}, " values");
    for (const Operand &part : values.parts)
      slots.push_back(form.sourceOf(part, type));
    for (size_t i = 0; hasResult && i < inst.count; ++i)
      slots.push_back(form.destOf(form.operand(0).parts[i], type));
    inst.list = form.addList(slots);
  } else {
    inst.s[0] = hasResult ? form.dest(0, type) : form.scratch();
    inst.s[2] = form.source(first + 1, type);
    if (sources == 2)
      inst.s[3] = form.source(first + 2, type);
  }
  if (fence)
    form.program().fences = true;
  inst.flags |= fence ? kAligned : 0;
}

void beginFence(Warp &warp, const Inst &, Mask) { warp.block.fence(); }

/// membar and fence order the block's accesses for others; within a block barriers do.
void fence(Form &form) {
  bool wide = form.take("gl") || form.take("gpu") || form.take("sys");
  form.take("cta");
  form.take("cluster");
  for (std::string_view kind : {"sc", "acq_rel", "acquire", "release"})
    form.take(kind);
  form.inst.run = [](Warp &, const Inst &, Mask) {};
  if (wide) {
    form.program().fences = true;
    form.inst.run = beginFence;
  }
}
} // namespace

void addAtomicHandlers(HandlerTable &table) {
  table["atom"] = atomic;
  table["red"] = atomic;
  table["membar"] = fence;
  table["fence"] = fence;
}

} // namespace peer::runtime::sim
