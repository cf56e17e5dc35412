// f32 and f64 arithmetic.

#include "Half.h"
#include "Lanes.h"

#include <cfenv>
#include <cmath>
#include <limits>

namespace peer::runtime::sim {

namespace {
struct Add {
  template <typename T>
  T operator()(T a, T b) const {
    return a + b;
  }
};
struct Sub {
  template <typename T>
  T operator()(T a, T b) const {
    return a - b;
  }
};
struct Mul {
  template <typename T>
  T operator()(T a, T b) const {
    return a * b;
  }
};
struct Div {
  template <typename T>
  T operator()(T a, T b) const {
    return a / b;
  }
};
// The number wins over NaN, and -0 is less than +0.
struct Min {
  template <typename T>
  T operator()(T a, T b) const {
    T less = a < b || (a == b && std::signbit(a)) ? a : b;
    less = b != b ? a : less;
    return a != a ? b : less;
  }
};
struct Max {
  template <typename T>
  T operator()(T a, T b) const {
    T more = a > b || (a == b && !std::signbit(a)) ? a : b;
    more = b != b ? a : more;
    return a != a ? b : more;
  }
};
/// NaN wins.
template <typename Extremum>
struct OrNan {
  template <typename T>
  T operator()(T a, T b) const {
    T r = Extremum()(a, b);
    return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : r;
  }
};
struct Fma {
  template <typename T>
  T operator()(T a, T b, T c) const {
    return std::fma(a, b, c);
  }
};
struct Abs {
  template <typename T>
  T operator()(T a) const {
    return std::fabs(a);
  }
};
struct Neg {
  template <typename T>
  T operator()(T a) const {
    return -a;
  }
};

int cRounding(uint8_t kind) {
  switch (static_cast<Rounding>(kind)) {
  case Rounding::Zero:
    return FE_TOWARDZERO;
  case Rounding::Down:
    return FE_DOWNWARD;
  case Rounding::Up:
    return FE_UPWARD;
  default:
    return FE_TONEAREST;
  }
}

template <typename T>
T maybeFlush(T v, bool flush) {
  if constexpr (sizeof(T) == 4)
    return flush ? flushed(v) : v;
  return v;
}

/// With every modifier: rounding, .ftz, .sat, .NaN. Sources are 1 to 3.
template <typename T, typename Op, unsigned Sources>
void modifiedLanes(Warp &warp, const Inst &inst, Mask mask) {
  T *to = warp.lanes<T>(inst.s[0]);
  bool flush = inst.flags & kFlush;
  int rounding = cRounding(inst.kind), before = std::fegetround();
  if (rounding != before)
    std::fesetround(rounding);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (!in(mask, lane))
      continue;
    // volatile: the operation must happen between the changes of the rounding mode.
    volatile T source[3] = {};
    bool nan = false;
    for (unsigned i = 0; i < Sources; ++i) {
      source[i] = maybeFlush(warp.lanes<T>(inst.s[1 + i])[lane], flush);
      nan |= source[i] != source[i];
    }
    volatile T r;
    if constexpr (Sources == 1)
      r = Op()(T(source[0]));
    else if constexpr (Sources == 2)
      r = Op()(T(source[0]), T(source[1]));
    else
      r = Op()(T(source[0]), T(source[1]), T(source[2]));
    T value = maybeFlush(T(r), flush);
    if (inst.flags & kSaturate)
      value = value > 0 ? (value < 1 ? value : T(1)) : T(0);
    if ((inst.flags & kNanWins) && nan)
      value = std::numeric_limits<T>::quiet_NaN();
    to[lane] = value;
  }
  if (rounding != before)
    std::fesetround(before);
}

#if defined(__x86_64__)
// fma is a function call where the compiler may not assume the instruction; kernels are full of it.
template <typename T>
__attribute__((target("avx2,fma"))) void fusedLanes(Warp &warp, const Inst &inst, Mask mask) {
  const T *a = warp.lanes<T>(inst.s[1]), *b = warp.lanes<T>(inst.s[2]), *c = warp.lanes<T>(inst.s[3]);
  T *to = warp.lanes<T>(inst.s[0]);
  T r[kLanes];
  PEER_LANES r[lane] = sizeof(T) == 4 ? T(__builtin_fmaf(float(a[lane]), float(b[lane]), float(c[lane])))
                                      : T(__builtin_fma(a[lane], b[lane], c[lane]));
  for (unsigned lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      to[lane] = r[lane];
}
template <typename T>
Execute fused() {
  static const bool fast = __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2");
  return fast ? fusedLanes<T> : ternaryLanes<T, T, T, T, Fma>;
}
#else
template <typename T>
Execute fused() {
  return ternaryLanes<T, T, T, T, Fma>;
}
#endif

template <typename T, typename Op>
Execute chooseUnary(bool plain) {
  return plain ? unaryLanes<T, T, Op> : modifiedLanes<T, Op, 1>;
}
template <typename T, typename Op>
Execute chooseBinary(bool plain) {
  return plain ? binaryLanes<T, T, T, Op> : modifiedLanes<T, Op, 2>;
}

template <typename T>
Execute choose(std::string_view name, bool plain) {
  if (name == "add")
    return chooseBinary<T, Add>(plain);
  if (name == "sub")
    return chooseBinary<T, Sub>(plain);
  if (name == "mul")
    return chooseBinary<T, Mul>(plain);
  if (name == "div")
    return chooseBinary<T, Div>(plain);
  if (name == "min")
    return chooseBinary<T, Min>(plain);
  if (name == "max")
    return chooseBinary<T, Max>(plain);
  if (name == "abs")
    return chooseUnary<T, Abs>(plain);
  if (name == "neg")
    return chooseUnary<T, Neg>(plain);
  if (name == "fma" || name == "mad")
    return plain ? fused<T>() : modifiedLanes<T, Fma, 3>;
  return nullptr;
}
} // namespace

void decodeFloatArithmetic(Form &form, Type type) {
  Inst &inst = form.inst;
  std::string_view name = form.name();
  inst.kind = static_cast<uint8_t>(form.take("rz")   ? Rounding::Zero
                                   : form.take("rm") ? Rounding::Down
                                   : form.take("rp") ? Rounding::Up
                                                     : Rounding::NearestEven);
  form.take("rn");
  // Approximate and full-range division are computed exactly; the README states the hardware's error.
  if (name == "div" && type == Type::F32 && !form.take("approx"))
    form.take("full");
  inst.flags |= form.take("ftz") ? kFlush : 0;
  inst.flags |= form.take("sat") ? kSaturate : 0;
  if (name == "min" || name == "max")
    inst.flags |= form.take("NaN") ? kNanWins : 0;
  bool nearest = inst.kind == static_cast<uint8_t>(Rounding::NearestEven), plain = inst.flags == 0 && nearest;
  inst.run = type == Type::F32 ? choose<float>(name, plain) : choose<double>(name, plain);
  if (type == Type::F32 && nearest && inst.flags == kNanWins)
    inst.run =
        name == "min" ? binaryLanes<float, float, float, OrNan<Min>> : binaryLanes<float, float, float, OrNan<Max>>;
  unsigned sources = name == "abs" || name == "neg" ? 1 : name == "fma" || name == "mad" ? 3 : 2;
  sameTypeOperands(form, type, sources);
}

} // namespace peer::runtime::sim
