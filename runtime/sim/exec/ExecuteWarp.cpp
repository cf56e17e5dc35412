// Exchange between the lanes of a warp: shfl, vote, match, redux, elect. They run when every lane of the member mask is there.

#include "Lanes.h"

#include <algorithm>

namespace peer::runtime::sim {

namespace {
enum Mode : uint8_t { Up, Down, Butterfly, Index, kModes };
constexpr std::string_view kModeNames[] = {"up", "down", "bfly", "idx"};
/// What a lane gets from one that takes no part: undefined on hardware, so something that is seen.
constexpr uint32_t kPoison = 0xa5a5a5a5;

template <uint8_t Kind>
void shflLanes(Warp &warp, const Inst &inst, Mask mask) {
  const uint32_t *b = warp.lanes<uint32_t>(inst.s[3]), *c = warp.lanes<uint32_t>(inst.s[4]);
  uint32_t from[kLanes];
  std::copy_n(warp.lanes<uint32_t>(inst.s[2]), kLanes, from);
  int sources[kLanes];
  Mask inRange = 0;
  PEER_LANES {
    int value = static_cast<int>(b[lane] & 31), clamp = static_cast<int>(c[lane] & 31),
        segment = static_cast<int>(c[lane] >> 8 & 31);
    int self = static_cast<int>(lane), lowest = self & segment, highest = lowest | (clamp & ~segment);
    int source = Kind == Up          ? self - value
                 : Kind == Down      ? self + value
                 : Kind == Butterfly ? self ^ value
                                     : lowest | (value & ~segment);
    bool valid = Kind == Up ? source >= highest : source <= highest;
    sources[lane] = valid ? source : self;
    inRange |= valid ? kLaneBits[lane] : 0;
  }
  uint32_t *to = warp.lanes<uint32_t>(inst.s[0]);
  eachLane(mask, [&](unsigned lane) {
    auto source = static_cast<unsigned>(sources[lane]);
    to[lane] = in(mask, source) ? from[source] : kPoison;
  });
  if (inst.flags & kHasResult)
    warp.setPredicate(inst.s[1], inRange, mask);
}

constexpr Execute kShuffles[] = {shflLanes<Up>, shflLanes<Down>, shflLanes<Butterfly>, shflLanes<Index>};

void shfl(Form &form) {
  Inst &inst = form.inst;
  bool sync = form.take("sync");
  inst.kind = form.takeOneOf(kModeNames);
  if (!sync || inst.kind == kModes || form.type() != Type::B32 || !form.wantOperands(5, 5))
    return form.unknown();
  const Operand &result = form.operand(0);
  if (result.kind == Operand::Kind::Pair) {
    inst.s[0] = form.destOf(result.parts[0], Type::B32);
    inst.s[1] = form.destOf(result.parts[1], Type::Pred);
    inst.flags |= kHasResult;
  } else {
    inst.s[0] = form.dest(0, Type::B32);
  }
  for (unsigned i = 1; i < 5; ++i)
    inst.s[i + 1] = form.source(i, Type::B32);
  inst.control = Control::WarpSync;
  inst.run = kShuffles[inst.kind];
}

enum Vote : uint8_t { All, Any, Uni, Ballot };
void voteLanes(Warp &warp, const Inst &inst, Mask mask) {
  Mask value = (warp.predicate(inst.s[1]) ^ (inst.flags & kNegateA ? kAllLanes : 0)) & mask;
  if (inst.kind == Ballot) {
    writeLanes<uint32_t>(warp, inst.s[0], mask, [value](unsigned) { return value; });
    return;
  }
  bool result = inst.kind == All ? value == mask : inst.kind == Any ? value != 0 : value == 0 || value == mask;
  warp.setPredicate(inst.s[0], result ? kAllLanes : 0, mask);
}
void vote(Form &form) {
  Inst &inst = form.inst;
  bool sync = form.take("sync");
  inst.kind = form.take("all") ? All : form.take("any") ? Any : form.take("uni") ? Uni : Ballot;
  Type type = form.type();
  if (inst.kind == Ballot && !form.take("ballot"))
    return form.unknown();
  if (!sync || type != (inst.kind == Ballot ? Type::B32 : Type::Pred) || !form.wantOperands(3, 3))
    return form.unknown();
  inst.s[0] = form.dest(0, type);
  inst.s[1] = form.source(1, Type::Pred, kNegateA);
  inst.s[5] = form.source(2, Type::B32);
  inst.control = Control::WarpSync;
  inst.run = voteLanes;
}

template <typename T>
void matchLanes(Warp &warp, const Inst &inst, Mask mask) {
  const T *a = warp.lanes<T>(inst.s[2]);
  Mask equal[kLanes] = {};
  Mask all = mask;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    for (unsigned other = 0; in(mask, lane) && other < kLanes; ++other)
      equal[lane] |= Mask{in(mask, other) && a[lane] == a[other]} << other;
  eachLane(mask, [&](unsigned lane) { all = equal[lane] == mask ? all : 0; });
  bool every = inst.kind == All;
  writeLanes<uint32_t>(warp, inst.s[0], mask, [&](unsigned lane) { return every ? all : equal[lane]; });
  if (inst.flags & kHasResult)
    warp.setPredicate(inst.s[1], all ? kAllLanes : 0, mask);
}
void match(Form &form) {
  Inst &inst = form.inst;
  inst.kind = form.take("all") ? All : Any;
  if ((inst.kind == Any && !form.take("any")) || !form.take("sync") || !form.wantOperands(3, 3))
    return form.unknown();
  Type type = form.type();
  const Operand &result = form.operand(0);
  if (result.kind == Operand::Kind::Pair && inst.kind == All) {
    inst.s[0] = form.destOf(result.parts[0], Type::B32);
    inst.s[1] = form.destOf(result.parts[1], Type::Pred);
    inst.flags |= kHasResult;
  } else {
    inst.s[0] = form.dest(0, Type::B32);
  }
  inst.s[2] = form.source(1, type);
  inst.s[5] = form.source(2, Type::B32);
  inst.control = Control::WarpSync;
  inst.run = byteWidth(type) == 8 ? matchLanes<uint64_t> : matchLanes<uint32_t>;
}

enum Reduction : uint8_t { Add, Min, Max, And, Or, Xor, kReductions };
constexpr std::string_view kReductionNames[] = {"add", "min", "max", "and", "or", "xor"};
template <typename T>
void reduxLanes(Warp &warp, const Inst &inst, Mask mask) {
  const T *a = warp.lanes<T>(inst.s[1]);
  T sum = a[std::countr_zero(mask)];
  for (unsigned lane = static_cast<unsigned>(std::countr_zero(mask)) + 1; lane < kLanes; ++lane) {
    if (!in(mask, lane))
      continue;
    switch (inst.kind) {
    case Add:
      sum = static_cast<T>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(a[lane]));
      break;
    case Min:
      sum = std::min(sum, a[lane]);
      break;
    case Max:
      sum = std::max(sum, a[lane]);
      break;
    case And:
      sum &= a[lane];
      break;
    case Or:
      sum |= a[lane];
      break;
    default:
      sum ^= a[lane];
      break;
    }
  }
  writeLanes<T>(warp, inst.s[0], mask, [sum](unsigned) { return sum; });
}
void redux(Form &form) {
  Inst &inst = form.inst;
  bool sync = form.take("sync");
  inst.kind = form.takeOneOf(kReductionNames);
  Type type = form.type();
  bool bits = inst.kind >= And;
  if (!sync || inst.kind == kReductions || (bits ? type != Type::B32 : type != Type::S32 && type != Type::U32) ||
      !form.wantOperands(3, 3))
    return form.unknown();
  inst.s[0] = form.dest(0, type);
  inst.s[1] = form.source(1, type);
  inst.s[5] = form.source(2, Type::B32);
  inst.control = Control::WarpSync;
  inst.run = type == Type::S32 ? reduxLanes<int32_t> : reduxLanes<uint32_t>;
}

void electLanes(Warp &warp, const Inst &inst, Mask mask) {
  auto leader = static_cast<uint32_t>(std::countr_zero(mask));
  writeLanes<uint32_t>(warp, inst.s[0], mask, [leader](unsigned) { return leader; });
  warp.setPredicate(inst.s[1], Mask{1} << leader, mask);
}
void elect(Form &form) {
  Inst &inst = form.inst;
  const Operand &result = form.operand(0);
  if (!form.take("sync") || !form.wantOperands(2, 2) || result.kind != Operand::Kind::Pair)
    return form.unknown();
  inst.s[0] = form.destOf(result.parts[0], Type::B32);
  inst.s[1] = form.destOf(result.parts[1], Type::Pred);
  inst.s[5] = form.source(1, Type::B32);
  inst.control = Control::WarpSync;
  inst.run = electLanes;
}
} // namespace

void addWarpHandlers(HandlerTable &table) {
  table["shfl"] = shfl;
  table["vote"] = vote;
  table["match"] = match;
  table["redux"] = redux;
  table["elect"] = elect;
}

} // namespace peer::runtime::sim
