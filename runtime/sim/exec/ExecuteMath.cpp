// Square roots, reciprocals and the approximations of transcendental functions, which are computed in double and rounded once.

#include "Half.h"
#include "Lanes.h"

#include <cmath>

namespace peer::runtime::sim {

namespace {
enum Function : uint8_t { Sqrt, Rcp, Rsqrt, Ex2, Lg2, Sin, Cos, Tanh };
constexpr std::string_view kNames[] = {"sqrt", "rcp", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh"};

inline double evaluate(uint8_t function, double v) {
  switch (function) {
  case Sqrt:
    return std::sqrt(v);
  case Rcp:
    return 1.0 / v;
  case Rsqrt:
    return 1.0 / std::sqrt(v);
  case Ex2:
    return std::exp2(v);
  case Lg2:
    return std::log2(v);
  case Sin:
    return std::sin(v);
  case Cos:
    return std::cos(v);
  default:
    return std::tanh(v);
  }
}

/// Hardware gives one NaN only.
float canonical(float v) { return v != v ? std::bit_cast<float>(0x7fffffffu) : v; }

template <uint8_t Function>
void singleLanes(Warp &warp, const Inst &inst, Mask mask) {
  const float *a = warp.lanes<float>(inst.s[1]);
  float *to = warp.lanes<float>(inst.s[0]);
  bool flush = inst.flags & kFlush;
  auto rounding = static_cast<Rounding>(inst.kind2);
  eachLane(mask, [=](unsigned lane) {
    double exact = evaluate(Function, flush ? flushed(a[lane]) : a[lane]);
    float r = rounding == Rounding::NearestEven
                  ? static_cast<float>(exact)
                  : std::bit_cast<float>(static_cast<uint32_t>(roundTo(kSingle, rounding, exact)));
    to[lane] = canonical(flush ? flushed(r) : r);
  });
}
void doubleLanes(Warp &warp, const Inst &inst, Mask mask) {
  const double *a = warp.lanes<double>(inst.s[1]);
  double *to = warp.lanes<double>(inst.s[0]);
  eachLane(mask, [=, &inst](unsigned lane) { to[lane] = evaluate(inst.kind, a[lane]); });
}
template <float (*Widen)(uint16_t), FloatFormat Format>
void halfLanes(Warp &warp, const Inst &inst, Mask mask) {
  const uint16_t *a = warp.lanes<uint16_t>(inst.s[1]);
  uint16_t *to = warp.lanes<uint16_t>(inst.s[0]);
  for (unsigned i = 0; i < kLanes * inst.count; ++i)
    if (in(mask, i / inst.count))
      to[i] = static_cast<uint16_t>(roundTo(Format, Rounding::NearestEven, evaluate(inst.kind, Widen(a[i]))));
}

template <uint8_t Which>
void function(Form &form) {
  Inst &inst = form.inst;
  inst.kind = Which;
  bool approximate = form.take("approx");
  bool rounded = form.take("rn");
  inst.kind2 = static_cast<uint8_t>(Rounding::NearestEven);
  constexpr std::pair<std::string_view, Rounding> modes[] = {
      {"rz", Rounding::Zero}, {"rm", Rounding::Down}, {"rp", Rounding::Up}};
  bool directed = false;
  for (auto [name, mode] : modes)
    if (form.take(name)) {
      inst.kind2 = static_cast<uint8_t>(mode);
      directed = true;
    }
  inst.flags |= form.take("ftz") ? kFlush : 0;
  Type type = form.type();
  // Directed f32 roots and quotients come from doubles, whose own rounding is 2^-29 of the result's last place away.
  if (approximate + rounded + directed != 1 || ((rounded || directed) && Which != Sqrt && Which != Rcp) ||
      (directed && type != Type::F32))
    return form.unknown();
  sameTypeOperands(form, type, 1);
  inst.count = byteWidth(type) / 2;
  if (type == Type::F32)
    inst.run = singleLanes<Which>;
  else if (type == Type::F64 && Which <= Rsqrt)
    inst.run = doubleLanes;
  else if ((type == Type::F16 || type == Type::F16x2) && (Which == Ex2 || Which == Tanh))
    inst.run = halfLanes<halfToFloat, kHalf>;
  else if ((type == Type::BF16 || type == Type::BF16x2) && (Which == Ex2 || Which == Tanh))
    inst.run = halfLanes<bfloatToFloat, kBfloat>;
}

/// The sign of a, the rest of b.
struct CopySign {
  template <typename T>
  T operator()(T a, T b) const {
    return std::copysign(b, a);
  }
};
void copysign(Form &form) {
  Type type = form.type();
  sameTypeOperands(form, type, 2);
  if (type == Type::F32)
    form.inst.run = binaryLanes<float, float, float, CopySign>;
  else if (type == Type::F64)
    form.inst.run = binaryLanes<double, double, double, CopySign>;
}

enum Class : uint8_t { Finite, Infinite, Number, NotANumber, Normal, Subnormal, kClasses };
constexpr std::string_view kClassNames[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};
template <typename T>
void testLanes(Warp &warp, const Inst &inst, Mask mask) {
  const T *a = warp.lanes<T>(inst.s[1]);
  Mask r = lanesWhere([&](unsigned lane) {
    int c = std::fpclassify(a[lane]);
    return inst.kind == Finite       ? c != FP_NAN && c != FP_INFINITE
           : inst.kind == Infinite   ? c == FP_INFINITE
           : inst.kind == Number     ? c != FP_NAN
           : inst.kind == NotANumber ? c == FP_NAN
           : inst.kind == Normal     ? c == FP_NORMAL
                                     : c == FP_SUBNORMAL;
  });
  warp.setPredicate(inst.s[0], r, mask);
}
void testp(Form &form) {
  form.inst.kind = form.takeOneOf(kClassNames);
  Type type = form.type();
  if (form.inst.kind == kClasses)
    return form.unknown();
  typedOperands(form, {Type::Pred, type});
  if (type == Type::F32)
    form.inst.run = testLanes<float>;
  else if (type == Type::F64)
    form.inst.run = testLanes<double>;
}
} // namespace

void addMathHandlers(HandlerTable &table) {
  table[kNames[Sqrt]] = function<Sqrt>;
  table[kNames[Rcp]] = function<Rcp>;
  table[kNames[Rsqrt]] = function<Rsqrt>;
  table[kNames[Ex2]] = function<Ex2>;
  table[kNames[Lg2]] = function<Lg2>;
  table[kNames[Sin]] = function<Sin>;
  table[kNames[Cos]] = function<Cos>;
  table[kNames[Tanh]] = function<Tanh>;
  table["copysign"] = copysign;
  table["testp"] = testp;
}

} // namespace peer::runtime::sim
