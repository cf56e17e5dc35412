// f16 and bf16 arithmetic, alone and in pairs: computed wider, rounded once.

#include "Half.h"
#include "Lanes.h"

#include <cmath>

namespace peer::runtime::sim {

namespace {
struct HalfFormat {
  static constexpr FloatFormat format = kHalf;
  static float widen(uint16_t v) { return halfToFloat(v); }
  static uint16_t narrow(float v) { return floatToHalf(v); }
};
struct BfloatFormat {
  static constexpr FloatFormat format = kBfloat;
  static float widen(uint16_t v) { return bfloatToFloat(v); }
  static uint16_t narrow(float v) { return floatToBfloat(v); }
};

enum Operation : uint8_t { Add, Sub, Mul, Fma, Min, Max, Neg, Abs };

template <typename Format>
uint16_t flushHalf(uint16_t v) {
  constexpr uint16_t exponent = ((1u << Format::format.exponentBits) - 1) << Format::format.mantissaBits;
  return (v & exponent) == 0 ? v & 0x8000u : v;
}

/// One value; f32 holds sums and products of two halves well enough that rounding twice is rounding once.
template <typename Format, Operation What>
uint16_t compute(uint16_t a, uint16_t b, uint16_t c) {
  if constexpr (What == Neg)
    return a ^ 0x8000u;
  if constexpr (What == Abs)
    return a & 0x7fffu;
  float x = Format::widen(a), y = Format::widen(b);
  if constexpr (What == Min || What == Max) {
    if (x != x)
      return y != y ? 0x7fffu : b;
    if (y != y)
      return a;
    bool first = What == Min ? x < y || (x == y && std::signbit(x)) : x > y || (x == y && !std::signbit(x));
    return first ? a : b;
  }
  if constexpr (What == Fma)
    // The product is exact in double; the sum must not be rounded twice.
    return static_cast<uint16_t>(
        roundTo(Format::format, Rounding::NearestEven, addToOdd(double{x} * y, Format::widen(c))));
  return Format::narrow(What == Add ? x + y : What == Sub ? x - y : x * y);
}

/// inst.count values per lane.
template <typename Format, Operation What>
void halfLanes(Warp &warp, const Inst &inst, Mask mask) {
  const uint16_t *a = warp.lanes<uint16_t>(inst.s[1]), *b = warp.lanes<uint16_t>(inst.s[2]),
                 *c = warp.lanes<uint16_t>(inst.s[3]);
  uint16_t *to = warp.lanes<uint16_t>(inst.s[0]);
  if (inst.flags == 0 && inst.count == 2 && mask == kAllLanes) {
    for (unsigned i = 0; i < 2 * kLanes; ++i)
      to[i] = compute<Format, What>(a[i], b[i], c[i]);
    return;
  }
  for (unsigned i = 0; i < kLanes * inst.count; ++i) {
    if (!in(mask, i / inst.count))
      continue;
    uint16_t x = a[i], y = b[i], z = c[i];
    if (inst.flags & kFlush) {
      x = flushHalf<Format>(x);
      y = flushHalf<Format>(y);
      z = flushHalf<Format>(z);
    }
    uint16_t r = compute<Format, What>(x, y, z);
    if (inst.flags & kFlush)
      r = flushHalf<Format>(r);
    float value = Format::widen(r);
    if ((inst.flags & kRelu) && value < 0)
      r = 0;
    if (inst.flags & kSaturate)
      r = Format::narrow(value > 0 ? (value < 1 ? value : 1.0f) : 0.0f);
    bool nan = Format::widen(x) != Format::widen(x) || Format::widen(y) != Format::widen(y);
    if ((inst.flags & kNanWins) && nan)
      r = 0x7fff;
    to[i] = r;
  }
}

template <typename Format>
Execute choose(std::string_view name) {
  if (name == "add")
    return halfLanes<Format, Add>;
  if (name == "sub")
    return halfLanes<Format, Sub>;
  if (name == "mul")
    return halfLanes<Format, Mul>;
  if (name == "fma")
    return halfLanes<Format, Fma>;
  if (name == "min")
    return halfLanes<Format, Min>;
  if (name == "max")
    return halfLanes<Format, Max>;
  if (name == "neg")
    return halfLanes<Format, Neg>;
  if (name == "abs")
    return halfLanes<Format, Abs>;
  return nullptr;
}
} // namespace

void decodeHalfArithmetic(Form &form, Type type) {
  Inst &inst = form.inst;
  std::string_view name = form.name();
  form.take("rn");
  inst.flags |= form.take("ftz") ? kFlush : 0;
  inst.flags |= form.take("sat") ? kSaturate : 0;
  inst.flags |= name == "fma" && form.take("relu") ? kRelu : 0;
  inst.flags |= form.take("NaN") ? kNanWins : 0;
  inst.count = byteWidth(type) / 2;
  inst.run = type == Type::F16 || type == Type::F16x2     ? choose<HalfFormat>(name)
             : type == Type::BF16 || type == Type::BF16x2 ? choose<BfloatFormat>(name)
                                                          : nullptr;
  sameTypeOperands(form, type, name == "neg" || name == "abs" ? 1 : name == "fma" ? 3 : 2);
}

} // namespace peer::runtime::sim
