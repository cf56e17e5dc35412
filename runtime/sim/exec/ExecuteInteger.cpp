// Integer arithmetic.

#include "Lanes.h"

#include <algorithm>
#include <limits>

namespace peer::runtime::sim {

namespace {
struct Add {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(Wrap<T>(a) + Wrap<T>(b));
  }
};
struct Sub {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(Wrap<T>(a) - Wrap<T>(b));
  }
};
struct MulLow {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(Wrap<T>(a) * Wrap<T>(b));
  }
};

struct MulHigh {
  template <typename T>
  T operator()(T a, T b) const {
    return mulHigh(a, b);
  }
};

/// Twice as wide as T.
template <typename T>
using Double = std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
                                  std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;
struct MulWide {
  template <typename T>
  Double<T> operator()(T a, T b) const {
    return static_cast<Double<T>>(static_cast<Wrap<Double<T>>>(Double<T>{a}) *
                                  static_cast<Wrap<Double<T>>>(Double<T>{b}));
  }
};
template <typename Multiply>
struct MulAdd {
  template <typename T, typename C>
  C operator()(T a, T b, C c) const {
    return Add()(static_cast<C>(Multiply()(a, b)), c);
  }
};

// Division by zero is whatever the hardware gives: all ones. It must not stop the simulator.
struct Div {
  template <typename T>
  T operator()(T a, T b) const {
    if (b == 0)
      return static_cast<T>(~T{0});
    if constexpr (std::is_signed_v<T>)
      if (b == -1)
        return static_cast<T>(Wrap<T>(0) - Wrap<T>(a));
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <typename T>
  T operator()(T a, T b) const {
    if (b == 0)
      return a;
    if constexpr (std::is_signed_v<T>)
      if (b == -1)
        return 0;
    return static_cast<T>(a % b);
  }
};
struct Abs {
  template <typename T>
  T operator()(T a) const {
    return a < 0 ? static_cast<T>(Wrap<T>(0) - Wrap<T>(a)) : a;
  }
};
struct Neg {
  template <typename T>
  T operator()(T a) const {
    return static_cast<T>(Wrap<T>(0) - Wrap<T>(a));
  }
};
struct Min {
  template <typename T>
  T operator()(T a, T b) const {
    return std::min(a, b);
  }
};
struct Max {
  template <typename T>
  T operator()(T a, T b) const {
    return std::max(a, b);
  }
};
struct Sad {
  template <typename T>
  T operator()(T a, T b, T c) const {
    return Add()(c, a < b ? Sub()(b, a) : Sub()(a, b));
  }
};
int32_t clampToInt(int64_t v) {
  return static_cast<int32_t>(
      std::clamp<int64_t>(v, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
}
struct AddSaturate {
  int32_t operator()(int32_t a, int32_t b) const { return clampToInt(int64_t{a} + b); }
};
struct SubSaturate {
  int32_t operator()(int32_t a, int32_t b) const { return clampToInt(int64_t{a} - b); }
};

template <typename Op>
void unary(Form &form, Type type) {
  sameTypeOperands(form, type, 1);
  withInteger(type, [&](auto t) { form.inst.run = unaryLanes<decltype(t), decltype(t), Op>; });
}
template <typename Op>
void binary(Form &form, Type type) {
  sameTypeOperands(form, type, 2);
  withInteger(type, [&](auto t) { form.inst.run = binaryLanes<decltype(t), decltype(t), decltype(t), Op>; });
}

/// Integers here, floats to the files that do them.
template <typename Op, bool Unary = false>
void arithmetic(Form &form) {
  Type type = form.type();
  if (type == Type::F32 || type == Type::F64)
    return decodeFloatArithmetic(form, type);
  if (isFloat(type))
    return decodeHalfArithmetic(form, type);
  if constexpr (Unary)
    unary<Op>(form, type);
  else
    binary<Op>(form, type);
}

template <typename Plain, typename Saturate>
void addOrSub(Form &form) {
  if (form.has("cc"))
    return decodeCarry(form);
  if (form.has("s32") && form.take("sat")) {
    form.type();
    sameTypeOperands(form, Type::S32, 2);
    form.inst.run = binaryLanes<int32_t, int32_t, int32_t, Saturate>;
    return;
  }
  arithmetic<Plain>(form);
}

void mul(Form &form) {
  bool low = form.take("lo"), high = !low && form.take("hi"), wide = !low && !high && form.take("wide");
  if (!low && !high && !wide)
    return arithmetic<MulLow>(form);
  Type type = form.type();
  if (low)
    return binary<MulLow>(form, type);
  if (high)
    return binary<MulHigh>(form, type);
  if (byteWidth(type) > 4)
    return form.unknown();
  typedOperands(form, {unsignedOfWidth(2 * byteWidth(type)), type, type});
  withInteger(type, [&](auto t) {
    using T = decltype(t);
    if constexpr (sizeof(T) <= 4)
      form.inst.run = binaryLanes<Double<T>, T, T, MulWide>;
  });
}

void mad(Form &form) {
  if (form.has("cc"))
    return decodeCarry(form);
  if (form.has("f32") || form.has("f64"))
    return decodeFloatArithmetic(form, form.type());
  bool low = form.take("lo"), high = !low && form.take("hi"), wide = !low && !high && form.take("wide");
  Type type = form.type();
  if (!(low || high || wide) || (wide && byteWidth(type) > 4))
    return form.unknown();
  Type result = wide ? unsignedOfWidth(2 * byteWidth(type)) : type;
  typedOperands(form, {result, type, type, result});
  withInteger(type, [&](auto t) {
    using T = decltype(t);
    if (low)
      form.inst.run = ternaryLanes<T, T, T, T, MulAdd<MulLow>>;
    else if (high)
      form.inst.run = ternaryLanes<T, T, T, T, MulAdd<MulHigh>>;
    else if constexpr (sizeof(T) <= 4)
      form.inst.run = ternaryLanes<Double<T>, T, T, Double<T>, MulAdd<MulWide>>;
  });
}

void sad(Form &form) {
  Type type = form.type();
  sameTypeOperands(form, type, 3);
  withInteger(type,
              [&](auto t) { form.inst.run = ternaryLanes<decltype(t), decltype(t), decltype(t), decltype(t), Sad>; });
}
} // namespace

void addIntegerHandlers(HandlerTable &table) {
  table["add"] = addOrSub<Add, AddSaturate>;
  table["sub"] = addOrSub<Sub, SubSaturate>;
  table["mul"] = mul;
  table["mad"] = mad;
  table["sad"] = sad;
  table["addc"] = decodeCarry;
  table["subc"] = decodeCarry;
  table["madc"] = decodeCarry;
  table["div"] = arithmetic<Div>;
  table["rem"] = arithmetic<Rem>;
  table["abs"] = arithmetic<Abs, true>;
  table["neg"] = arithmetic<Neg, true>;
  table["min"] = arithmetic<Min>;
  table["max"] = arithmetic<Max>;
  table["fma"] = arithmetic<Add>;
}

} // namespace peer::runtime::sim
