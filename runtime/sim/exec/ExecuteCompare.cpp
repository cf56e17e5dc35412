// setp, set, selp, slct.

#include "Half.h"
#include "Lanes.h"

#include <cmath>

namespace peer::runtime::sim {

namespace {
enum Comparison : uint8_t {
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  Lo,
  Ls,
  Hi,
  Hs,
  Equ,
  Neu,
  Ltu,
  Leu,
  Gtu,
  Geu,
  Num,
  Nan,
  kComparisons
};
constexpr std::string_view kNames[] = {"eq", "ne",  "lt",  "le",  "gt",  "ge",  "lo",  "ls",  "hi",
                                       "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
enum Combine : uint8_t { None, CombineAnd, CombineOr, CombineXor };

template <typename T, typename F>
Mask compareLanes(const T *a, const T *b, F f) {
  uint32_t bits[kLanes];
  PEER_LANES bits[lane] = uint32_t{f(a[lane], b[lane])} << lane;
  Mask r = 0;
  for (uint32_t bit : bits)
    r |= bit;
  return r;
}

/// For integers the unordered forms do not occur, and lo, ls, hi, hs come with unsigned types.
template <typename T>
Mask compare(const T *a, const T *b, uint8_t how) {
  auto unordered = [](T x, T y) { return x != x || y != y; };
  switch (how) {
  case Eq:
    return compareLanes(a, b, [](T x, T y) { return x == y; });
  case Ne:
    return compareLanes(a, b, [&](T x, T y) { return x != y && !unordered(x, y); });
  case Lt:
  case Lo:
    return compareLanes(a, b, [](T x, T y) { return x < y; });
  case Le:
  case Ls:
    return compareLanes(a, b, [](T x, T y) { return x <= y; });
  case Gt:
  case Hi:
    return compareLanes(a, b, [](T x, T y) { return x > y; });
  case Ge:
  case Hs:
    return compareLanes(a, b, [](T x, T y) { return x >= y; });
  case Equ:
    return compareLanes(a, b, [&](T x, T y) { return x == y || unordered(x, y); });
  case Neu:
    return compareLanes(a, b, [](T x, T y) { return x != y; });
  case Ltu:
    return compareLanes(a, b, [](T x, T y) { return !(x >= y); });
  case Leu:
    return compareLanes(a, b, [](T x, T y) { return !(x > y); });
  case Gtu:
    return compareLanes(a, b, [](T x, T y) { return !(x <= y); });
  case Geu:
    return compareLanes(a, b, [](T x, T y) { return !(x < y); });
  case Num:
    return compareLanes(a, b, [&](T x, T y) { return !unordered(x, y); });
  default:
    return compareLanes(a, b, [&](T x, T y) { return unordered(x, y); });
  }
}

Mask combine(Warp &warp, const Inst &inst, Mask value) {
  Mask c = warp.predicate(inst.s[4]) ^ (inst.flags & kNegateC ? kAllLanes : 0);
  switch (inst.kind2) {
  case CombineAnd:
    return value & c;
  case CombineOr:
    return value | c;
  case CombineXor:
    return value ^ c;
  default:
    return value;
  }
}

void writeResult(Warp &warp, const Inst &inst, Mask mask, Mask value) {
  if (inst.flags & kHasResult) {
    // set: all ones, or 1.0 where the result is a float.
    auto yes = static_cast<uint32_t>(inst.imm);
    writeLanes<uint32_t>(warp, inst.s[0], mask, [=](unsigned lane) { return in(value, lane) ? yes : 0; });
    return;
  }
  warp.setPredicate(inst.s[0], combine(warp, inst, value), mask);
  if (inst.s[1])
    warp.setPredicate(inst.s[1], combine(warp, inst, ~value), mask);
}

template <typename T>
void compareValues(Warp &warp, const Inst &inst, Mask mask) {
  writeResult(warp, inst, mask, compare(warp.lanes<T>(inst.s[2]), warp.lanes<T>(inst.s[3]), inst.kind));
}
template <>
void compareValues<float>(Warp &warp, const Inst &inst, Mask mask) {
  const float *a = warp.lanes<float>(inst.s[2]), *b = warp.lanes<float>(inst.s[3]);
  float x[kLanes], y[kLanes];
  if (inst.flags & kFlush) {
    PEER_LANES x[lane] = flushed(a[lane]);
    PEER_LANES y[lane] = flushed(b[lane]);
    a = x;
    b = y;
  }
  writeResult(warp, inst, mask, compare(a, b, inst.kind));
}
/// size tells which half type; part which half of a pair goes to which result.
template <float (*Widen)(uint16_t)>
void compareHalves(Warp &warp, const Inst &inst, Mask mask) {
  const uint16_t *a = warp.lanes<uint16_t>(inst.s[2]), *b = warp.lanes<uint16_t>(inst.s[3]);
  float x[kLanes], y[kLanes];
  for (unsigned half = 0; half < inst.count; ++half) {
    PEER_LANES x[lane] = Widen(a[lane * inst.count + half]);
    PEER_LANES y[lane] = Widen(b[lane * inst.count + half]);
    Mask value = compare(x, y, inst.kind);
    if (inst.count == 1)
      writeResult(warp, inst, mask, value);
    else
      warp.setPredicate(inst.s[half], combine(warp, inst, value), mask);
  }
}

bool chooseComparison(Form &form, Type type) {
  Inst &inst = form.inst;
  if (type == Type::F16 || type == Type::F16x2 || type == Type::BF16 || type == Type::BF16x2) {
    inst.count = type == Type::F16 || type == Type::BF16 ? 1 : 2;
    inst.run = type == Type::F16 || type == Type::F16x2 ? compareHalves<halfToFloat> : compareHalves<bfloatToFloat>;
    form.take("ftz");
    return true;
  }
  if (type == Type::F32) {
    inst.flags |= form.take("ftz") ? kFlush : 0;
    inst.run = compareValues<float>;
    return true;
  }
  if (type == Type::F64) {
    inst.run = compareValues<double>;
    return true;
  }
  return inst.kind <= Hs && withInteger(type, [&](auto t) { inst.run = compareValues<decltype(t)>; });
}

void setp(Form &form) {
  Inst &inst = form.inst;
  inst.kind = form.takeOneOf(kNames);
  inst.kind2 = form.take("and") ? CombineAnd : form.take("or") ? CombineOr : form.take("xor") ? CombineXor : None;
  bool set = form.name() == "set";
  if (set) {
    Type result = form.type();
    inst.flags |= kHasResult;
    inst.imm = result == Type::F32 ? 0x3f800000 : ~0u;
    if (byteWidth(result) != 4 || inst.kind2)
      return form.unknown();
    inst.s[0] = form.dest(0, result);
  }
  Type type = form.type();
  size_t wanted = inst.kind2 ? 4 : 3;
  if (inst.kind == kComparisons || !chooseComparison(form, type) || (set && inst.count == 2))
    return form.unknown();
  if (!form.wantOperands(wanted, wanted))
    return;
  const Operand &result = form.operand(0);
  if (!set && result.kind == Operand::Kind::Pair) {
    inst.s[0] = form.destOf(result.parts[0], Type::Pred);
    inst.s[1] = form.destOf(result.parts[1], Type::Pred);
  } else if (!set) {
    inst.s[0] = form.dest(0, Type::Pred);
  }
  inst.s[2] = form.source(1, type);
  inst.s[3] = form.source(2, type);
  if (inst.kind2)
    inst.s[4] = form.source(3, Type::Pred, kNegateC);
}

template <typename T>
void selectLanes(Warp &warp, const Inst &inst, Mask mask) {
  const T *a = warp.lanes<T>(inst.s[1]), *b = warp.lanes<T>(inst.s[2]);
  Mask p = warp.predicate(inst.s[3]);
  writeLanes<T>(warp, inst.s[0], mask, [=](unsigned lane) { return p & kLaneBits[lane] ? a[lane] : b[lane]; });
}
void selp(Form &form) {
  Type type = form.type();
  typedOperands(form, {type, type, type, Type::Pred});
  withBits(type, [&](auto t) { form.inst.run = selectLanes<decltype(t)>; });
}

/// a where c >= 0, else b.
template <typename T, typename C>
void slctLanes(Warp &warp, const Inst &inst, Mask mask) {
  const T *a = warp.lanes<T>(inst.s[1]), *b = warp.lanes<T>(inst.s[2]);
  const C *c = warp.lanes<C>(inst.s[3]);
  writeLanes<T>(warp, inst.s[0], mask, [=](unsigned lane) { return c[lane] >= 0 ? a[lane] : b[lane]; });
}
void slct(Form &form) {
  bool flush = form.take("ftz");
  Type type = form.type(), by = form.type();
  if (by != Type::S32 && by != Type::F32)
    return form.unknown();
  // A flushed subnormal is a zero, which selects a; the sign of one must not.
  if (flush)
    return form.unknown();
  typedOperands(form, {type, type, type, by});
  withBits(type, [&](auto t) {
    using T = decltype(t);
    form.inst.run = by == Type::S32 ? slctLanes<T, int32_t> : slctLanes<T, float>;
  });
}
} // namespace

void addCompareHandlers(HandlerTable &table) {
  table["setp"] = setp;
  table["set"] = setp;
  table["selp"] = selp;
  table["slct"] = slct;
}

} // namespace peer::runtime::sim
