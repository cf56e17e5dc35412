// cvt in all its forms.

#include "Half.h"
#include "Lanes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace peer::runtime::sim {

namespace {
/// inst.kind's bits: the Rounding of the conversion. How a float becomes an integer is the same choice.
Rounding roundingOf(const Inst &inst) { return static_cast<Rounding>(inst.kind); }

/// The fields of a general conversion, packed into imm: types and the widths of the registers.
struct Conversion {
  Type to, from;
  uint8_t toWidth, fromWidth;
  bool integral;
};
static_assert(sizeof(Conversion) <= 8);

double roundIntegral(double v, Rounding rounding) {
  switch (rounding) {
  case Rounding::Zero:
    return std::trunc(v);
  case Rounding::Down:
    return std::floor(v);
  case Rounding::Up:
    return std::ceil(v);
  default:
    return std::nearbyint(v);
  }
}

double floatValue(Type type, uint64_t bits) {
  switch (type) {
  case Type::F16:
    return halfToFloat(static_cast<uint16_t>(bits));
  case Type::BF16:
    return bfloatToFloat(static_cast<uint16_t>(bits));
  case Type::F32:
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  default:
    return std::bit_cast<double>(bits);
  }
}

FloatFormat formatOf(Type type) {
  switch (type) {
  case Type::F16:
    return kHalf;
  case Type::BF16:
    return kBfloat;
  case Type::F32:
    return kSingle;
  default:
    return kDouble;
  }
}

/// Bounds of an integer type, as doubles and as bits.
uint64_t clampToInteger(double v, Type type) {
  unsigned bits = 8 * byteWidth(type);
  if (v != v)
    return 0;
  if (isSignedInteger(type)) {
    double limit = std::ldexp(1.0, static_cast<int>(bits) - 1);
    if (v >= limit)
      return (uint64_t{1} << (bits - 1)) - 1;
    return v < -limit ? uint64_t{1} << (bits - 1) : static_cast<uint64_t>(static_cast<int64_t>(v));
  }
  if (v >= std::ldexp(1.0, static_cast<int>(bits)))
    return ~uint64_t{0} >> (64 - bits);
  return v <= 0 ? 0 : static_cast<uint64_t>(v);
}

/// Cuts to a type's width, then extends to 64 bits as the type's sign says.
uint64_t extend(uint64_t bits, Type type) {
  unsigned unused = 64 - 8 * byteWidth(type);
  return isSignedInteger(type) ? static_cast<uint64_t>(static_cast<int64_t>(bits << unused) >> unused)
                               : bits << unused >> unused;
}

uint64_t saturateInteger(uint64_t value, Type from, Type to) {
  bool negative = isSignedInteger(from) && static_cast<int64_t>(value) < 0;
  unsigned bits = 8 * byteWidth(to);
  uint64_t most = ~uint64_t{0} >> (64 - bits + (isSignedInteger(to) ? 1 : 0));
  if (!negative)
    return std::min(value, most);
  if (!isSignedInteger(to))
    return 0;
  auto least = -static_cast<int64_t>(most) - 1;
  return static_cast<uint64_t>(std::max(static_cast<int64_t>(value), least));
}

uint64_t convert(const Inst &inst, const Conversion &how, uint64_t bits) {
  if (!isFloat(how.from)) {
    bits = extend(bits, how.from);
    if (!isFloat(how.to))
      return inst.flags & kSaturate ? saturateInteger(bits, how.from, how.to) : bits;
    bool negative = isSignedInteger(how.from) && static_cast<int64_t>(bits) < 0;
    return roundTo(formatOf(how.to), roundingOf(inst), negative, negative ? 0 - bits : bits, 0);
  }
  double value = floatValue(how.from, bits);
  if ((inst.flags & kFlush) && how.from == Type::F32)
    value = flushed(static_cast<float>(value));
  if (!isFloat(how.to))
    return clampToInteger(roundIntegral(value, roundingOf(inst)), how.to);
  if (how.integral)
    value = roundIntegral(value, roundingOf(inst));
  if (inst.flags & kSaturate)
    value = value > 0 ? std::min(value, 1.0) : 0.0;
  if ((inst.flags & kRelu) && !(value > 0))
    value = value != value ? value : 0.0;
  uint64_t result = roundTo(formatOf(how.to), roundingOf(inst), value);
  if ((inst.flags & kFlush) && how.to == Type::F32)
    result = std::bit_cast<uint32_t>(flushed(std::bit_cast<float>(static_cast<uint32_t>(result))));
  return result;
}

void convertLanes(Warp &warp, const Inst &inst, Mask mask) {
  Conversion how;
  std::memcpy(&how, &inst.imm, sizeof how);
  auto *to = warp.lanes<uint8_t>(inst.s[0]);
  const auto *from = warp.lanes<uint8_t>(inst.s[1]);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (!in(mask, lane))
      continue;
    uint64_t bits = 0;
    std::memcpy(&bits, from + lane * how.fromWidth, how.fromWidth);
    bits = convert(inst, how, bits);
    if (!isFloat(how.to))
      bits = extend(bits, how.to);
    std::memcpy(to + lane * how.toWidth, &bits, how.toWidth);
  }
}

struct Same {
  template <typename T>
  T operator()(T a) const {
    return a;
  }
};
struct TruncateToInt {
  int32_t operator()(float a) const {
    constexpr float limit = 0x1p31f;
    float inside = a >= limit || !(a >= -limit) ? 0 : a;
    auto r = static_cast<int32_t>(inside);
    r = a >= limit ? std::numeric_limits<int32_t>::max() : r;
    return a < -limit ? std::numeric_limits<int32_t>::min() : r;
  }
};
template <Rounding Mode>
struct ToIntegral {
  template <typename T>
  T operator()(T a) const {
    // Hardware gives one NaN only, and so does the general conversion.
    if (a != a)
      return std::bit_cast<T>(~std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>{0} >> 1);
    return static_cast<T>(roundIntegral(a, Mode));
  }
};
template <typename T>
Execute chooseIntegral(Rounding mode) {
  switch (mode) {
  case Rounding::Zero:
    return unaryLanes<T, T, ToIntegral<Rounding::Zero>>;
  case Rounding::Down:
    return unaryLanes<T, T, ToIntegral<Rounding::Down>>;
  case Rounding::Up:
    return unaryLanes<T, T, ToIntegral<Rounding::Up>>;
  default:
    return unaryLanes<T, T, ToIntegral<Rounding::NearestEven>>;
  }
}
struct FromHalf {
  float operator()(uint16_t a) const { return halfToFloat(a); }
};
struct FromBfloat {
  float operator()(uint16_t a) const { return bfloatToFloat(a); }
};
struct ToHalf {
  uint16_t operator()(float a) const { return floatToHalf(a); }
};
struct ToBfloat {
  uint16_t operator()(float a) const { return floatToBfloat(a); }
};

/// Conversions that kernels are full of; null for the others.
Execute fastConversion(const Conversion &how, const Inst &inst) {
  if (inst.flags == 0 && how.integral && how.to == how.from && isFloat(how.to) && byteWidth(how.to) >= 4)
    return how.to == Type::F32 ? chooseIntegral<float>(roundingOf(inst)) : chooseIntegral<double>(roundingOf(inst));
  // A float that becomes an integer is always made integral first.
  if (inst.flags || (how.integral && isFloat(how.to)) || how.toWidth != std::max(2u, byteWidth(how.to)) ||
      how.fromWidth != byteWidth(how.from) || byteWidth(how.to) < 2)
    return nullptr;
  bool nearest = roundingOf(inst) == Rounding::NearestEven;
  Execute chosen = nullptr;
  if (!isFloat(how.from) && !isFloat(how.to))
    withInteger(how.from, [&](auto f) {
      withInteger(how.to, [&](auto t) { chosen = unaryLanes<decltype(t), decltype(f), Same>; });
    });
  else if (!isFloat(how.from) && how.to == Type::F32 && nearest)
    withInteger(how.from, [&](auto f) { chosen = unaryLanes<float, decltype(f), Same>; });
  else if (how.from == Type::F32 && how.to == Type::S32 && roundingOf(inst) == Rounding::Zero)
    chosen = unaryLanes<int32_t, float, TruncateToInt>;
  else if (how.from == Type::F32 && how.to == Type::F64)
    chosen = unaryLanes<double, float, Same>;
  else if (how.from == Type::F64 && how.to == Type::F32 && nearest)
    chosen = unaryLanes<float, double, Same>;
  else if (how.from == Type::F16 && how.to == Type::F32)
    chosen = unaryLanes<float, uint16_t, FromHalf>;
  else if (how.from == Type::BF16 && how.to == Type::F32)
    chosen = unaryLanes<float, uint16_t, FromBfloat>;
  else if (how.from == Type::F32 && how.to == Type::F16 && nearest)
    chosen = unaryLanes<uint16_t, float, ToHalf>;
  else if (how.from == Type::F32 && how.to == Type::BF16 && nearest)
    chosen = unaryLanes<uint16_t, float, ToBfloat>;
  return chosen;
}

/// d = {a, b}: a becomes the upper half.
template <FloatFormat Format>
void packLanes(Warp &warp, const Inst &inst, Mask mask) {
  const float *a = warp.lanes<float>(inst.s[1]), *b = warp.lanes<float>(inst.s[2]);
  Rounding rounding = roundingOf(inst);
  bool relu = inst.flags & kRelu;
  auto one = [=](float v) {
    v = relu && v < 0 ? 0.0f : v;
    if (rounding != Rounding::NearestEven)
      return static_cast<uint32_t>(roundTo(Format, rounding, v));
    return static_cast<uint32_t>(Format.mantissaBits == kHalf.mantissaBits ? floatToHalf(v) : floatToBfloat(v));
  };
  writeLanes<uint32_t>(warp, inst.s[0], mask, [=](unsigned lane) { return one(a[lane]) << 16 | one(b[lane]); });
}

/// The low 13 bits are zero; hardware ignores them.
void tf32Lanes(Warp &warp, const Inst &inst, Mask mask) {
  const float *a = warp.lanes<float>(inst.s[1]);
  Rounding rounding = roundingOf(inst);
  writeLanes<uint32_t>(warp, inst.s[0], mask,
                       [=](unsigned lane) { return static_cast<uint32_t>(roundTo(kTf32, rounding, a[lane]) << 13); });
}

void cvt(Form &form) {
  Inst &inst = form.inst;
  Rounding rounding = Rounding::NearestEven;
  bool given = false;
  Conversion how{};
  constexpr std::pair<std::string_view, Rounding> modes[] = {{"rn", Rounding::NearestEven},
                                                             {"rz", Rounding::Zero},
                                                             {"rm", Rounding::Down},
                                                             {"rp", Rounding::Up},
                                                             {"rna", Rounding::NearestAway}};
  constexpr std::pair<std::string_view, Rounding> integralModes[] = {
      {"rni", Rounding::NearestEven}, {"rzi", Rounding::Zero}, {"rmi", Rounding::Down}, {"rpi", Rounding::Up}};
  for (auto [name, mode] : modes)
    if (form.take(name)) {
      rounding = mode;
      given = true;
    }
  for (auto [name, mode] : integralModes)
    if (form.take(name)) {
      rounding = mode;
      given = how.integral = true;
    }
  inst.kind = static_cast<uint8_t>(rounding);
  inst.flags |= form.take("ftz") ? kFlush : 0;
  inst.flags |= form.take("sat") ? kSaturate : 0;
  inst.flags |= form.take("relu") ? kRelu : 0;
  how.to = form.type();
  how.from = form.type();
  if (how.to == Type::F16x2 || how.to == Type::BF16x2) {
    if (how.from != Type::F32 || !given || how.integral || (inst.flags & (kFlush | kSaturate)) ||
        !form.wantOperands(3, 3))
      return form.unknown();
    inst.s[0] = form.dest(0, how.to);
    inst.s[1] = form.source(1, Type::F32);
    inst.s[2] = form.source(2, Type::F32);
    inst.run = how.to == Type::F16x2 ? packLanes<kHalf> : packLanes<kBfloat>;
    return;
  }
  if (!form.wantOperands(2, 2))
    return;
  if (how.to == Type::TF32) {
    if (how.from != Type::F32 || inst.flags)
      return form.unknown();
    sameTypeOperands(form, Type::B32, 1);
    inst.run = tf32Lanes;
    return;
  }
  bool toInteger = isFloat(how.from) && !isFloat(how.to);
  // A float becomes an integer, or a narrower float, only with a rounding.
  bool narrower = isFloat(how.from) && isFloat(how.to) && byteWidth(how.to) < byteWidth(how.from);
  if ((toInteger && !how.integral) || (narrower && !given) || how.from == Type::TF32)
    return form.unknown();
  // Registers may be wider than the types: a byte lives in 16 or 32 bits.
  const Operand &to = form.operand(0), &from = form.operand(1);
  unsigned toWidth = form.registerWidth(to), fromWidth = form.registerWidth(from);
  if (fromWidth == 0)
    fromWidth = std::max(2u, byteWidth(how.from));
  if (toWidth < byteWidth(how.to) || fromWidth < byteWidth(how.from) ||
      (isFloat(how.to) && toWidth != byteWidth(how.to)) || (isFloat(how.from) && fromWidth != byteWidth(how.from)))
    return form.fail("a register has the wrong size");
  how.toWidth = static_cast<uint8_t>(toWidth);
  how.fromWidth = static_cast<uint8_t>(fromWidth);
  inst.s[0] = form.dest(0, unsignedOfWidth(toWidth));
  inst.s[1] = form.source(1, isFloat(how.from) ? how.from : unsignedOfWidth(fromWidth));
  std::memcpy(&inst.imm, &how, sizeof how);
  inst.run = fastConversion(how, inst);
  if (!inst.run)
    inst.run = convertLanes;
}
} // namespace

void addConvertHandlers(HandlerTable &table) { table["cvt"] = cvt; }

} // namespace peer::runtime::sim
