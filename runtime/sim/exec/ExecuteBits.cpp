// Logic, shifts, bit fields and byte permutation.

#include "Lanes.h"

#include <algorithm>

namespace peer::runtime::sim {

namespace {
struct And {
  template <typename T>
  T operator()(T a, T b) const {
    return a & b;
  }
};
struct Or {
  template <typename T>
  T operator()(T a, T b) const {
    return a | b;
  }
};
struct Xor {
  template <typename T>
  T operator()(T a, T b) const {
    return a ^ b;
  }
};
struct Not {
  template <typename T>
  T operator()(T a) const {
    return static_cast<T>(~a);
  }
};
struct LogicalNot {
  template <typename T>
  T operator()(T a) const {
    return a == 0;
  }
};
// Shifts by the width and more clamp.
struct ShiftLeft {
  template <typename T>
  T operator()(T a, uint32_t n) const {
    return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(Wrap<T>(a) << n);
  }
};
struct ShiftRight {
  template <typename T>
  T operator()(T a, uint32_t n) const {
    return static_cast<T>(n >= 8 * sizeof(T) ? (a < 0 ? ~T{0} : T{0}) : a >> n);
  }
};
struct Popc {
  template <typename T>
  uint32_t operator()(T a) const {
    return static_cast<uint32_t>(std::popcount(a));
  }
};
struct Clz {
  template <typename T>
  uint32_t operator()(T a) const {
    return static_cast<uint32_t>(std::countl_zero(a));
  }
};
struct Reverse {
  template <typename T>
  T operator()(T a) const {
    T r = 0;
    for (unsigned i = 0; i < 8 * sizeof(T); ++i)
      r = static_cast<T>(r << 1 | (a >> i & 1));
    return r;
  }
};
template <bool ShiftAmount>
struct FindBit {
  template <typename T>
  uint32_t operator()(T a) const {
    auto bits = static_cast<std::make_unsigned_t<T>>(a < 0 ? ~a : a);
    if (bits == 0)
      return ~0u;
    auto position = static_cast<uint32_t>(std::bit_width(bits) - 1);
    return ShiftAmount ? static_cast<uint32_t>(8 * sizeof(T) - 1) - position : position;
  }
};
struct Extract {
  template <typename T>
  T operator()(T a, uint32_t position, uint32_t length) const {
    constexpr unsigned bits = 8 * sizeof(T);
    position &= 255;
    length &= 255;
    if (length == 0)
      return 0;
    bool sign = std::is_signed_v<T> &&
                (static_cast<std::make_unsigned_t<T>>(a) >> std::min(position + length - 1, bits - 1) & 1);
    using U = std::make_unsigned_t<T>;
    unsigned there = position < bits ? std::min(length, bits - position) : 0;
    U field = there == 0 ? 0 : static_cast<U>(a) >> position, inside = there == bits ? ~U{0} : (U{1} << there) - 1;
    return static_cast<T>((field & inside) | (sign ? ~inside : 0));
  }
};
template <typename T>
T insertBits(T a, T b, uint32_t position, uint32_t length) {
  constexpr unsigned bits = 8 * sizeof(T);
  position &= 255;
  length &= 255;
  for (unsigned i = 0; i < length && position + i < bits; ++i)
    b = (b & ~(T{1} << (position + i))) | ((a >> i & 1) << (position + i));
  return b;
}
template <typename T>
void bfiLanes(Warp &warp, const Inst &inst, Mask mask) {
  const T *a = warp.lanes<T>(inst.s[1]), *b = warp.lanes<T>(inst.s[2]);
  const uint32_t *position = warp.lanes<uint32_t>(inst.s[3]), *length = warp.lanes<uint32_t>(inst.s[4]);
  writeLanes<T>(warp, inst.s[0], mask,
                [=](unsigned lane) { return insertBits(a[lane], b[lane], position[lane], length[lane]); });
}
void lop3Lanes(Warp &warp, const Inst &inst, Mask mask) {
  const uint32_t *a = warp.lanes<uint32_t>(inst.s[1]), *b = warp.lanes<uint32_t>(inst.s[2]),
                 *c = warp.lanes<uint32_t>(inst.s[3]);
  auto table = static_cast<uint32_t>(inst.imm);
  writeLanes<uint32_t>(warp, inst.s[0], mask, [=](unsigned lane) {
    uint32_t r = 0;
    for (unsigned row = 0; row < 8; ++row)
      r |= (0u - (table >> row & 1)) & (row & 4 ? a[lane] : ~a[lane]) & (row & 2 ? b[lane] : ~b[lane]) &
           (row & 1 ? c[lane] : ~c[lane]);
    return r;
  });
}
/// kind: 0 the default mode, then f4e, b4e, rc8, ecl, ecr, rc16.
void prmtLanes(Warp &warp, const Inst &inst, Mask mask) {
  const uint32_t *a = warp.lanes<uint32_t>(inst.s[1]), *b = warp.lanes<uint32_t>(inst.s[2]),
                 *c = warp.lanes<uint32_t>(inst.s[3]);
  unsigned mode = inst.kind;
  writeLanes<uint32_t>(warp, inst.s[0], mask, [=](unsigned lane) {
    uint64_t bytes = uint64_t{b[lane]} << 32 | a[lane];
    uint32_t selector = c[lane], from = selector & 3, r = 0;
    for (uint32_t i = 0; i < 4; ++i) {
      uint32_t pick = selector >> (4 * i) & 15;
      switch (mode) {
      case 0:
        pick = (from + i) & 7;
        break;
      case 1:
        pick = (from - i) & 7;
        break;
      case 2:
        pick = from;
        break;
      case 3:
        pick = std::max(from, i);
        break;
      case 4:
        pick = std::min(from, i);
        break;
      case 5:
        pick = (from & 1) * 2 + (i & 1);
        break;
      }
      uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (pick & 7))) & 255;
      if (pick & 8)
        byte = byte & 128 ? 255 : 0;
      r |= byte << (8 * i);
    }
    return r;
  });
}
template <bool Left, bool Clamp>
struct Funnel {
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t c) const {
    uint32_t n = Clamp ? std::min(c, 32u) : c & 31;
    uint64_t both = uint64_t{b} << 32 | a;
    return static_cast<uint32_t>(Left ? (both << n) >> 32 : both >> n);
  }
};

/// kind: 0 and, 1 or, 2 xor, 3 not.
void predicateLogic(Warp &warp, const Inst &inst, Mask mask) {
  Mask a = warp.predicate(inst.s[1]), b = warp.predicate(inst.s[2]);
  Mask r = inst.kind == 0 ? a & b : inst.kind == 1 ? a | b : inst.kind == 2 ? a ^ b : ~a;
  warp.setPredicate(inst.s[0], r, mask);
}

template <typename Op, unsigned Kind>
void logic(Form &form) {
  Type type = form.type();
  constexpr bool unary = std::is_same_v<Op, Not>;
  sameTypeOperands(form, type, unary ? 1 : 2);
  if (type == Type::Pred) {
    form.inst.kind = Kind;
    form.inst.run = predicateLogic;
  } else if constexpr (unary) {
    withBits(type, [&](auto t) { form.inst.run = unaryLanes<decltype(t), decltype(t), Op>; });
  } else {
    withBits(type, [&](auto t) { form.inst.run = binaryLanes<decltype(t), decltype(t), decltype(t), Op>; });
  }
}
void cnot(Form &form) {
  Type type = form.type();
  sameTypeOperands(form, type, 1);
  withBits(type, [&](auto t) { form.inst.run = unaryLanes<decltype(t), decltype(t), LogicalNot>; });
}
template <typename Op>
void shift(Form &form) {
  Type type = form.type();
  typedOperands(form, {type, type, Type::U32});
  withInteger(type, [&](auto t) { form.inst.run = binaryLanes<decltype(t), decltype(t), uint32_t, Op>; });
}
/// d is 32 bits, whatever the source is.
template <typename Op, bool Signed>
void count(Form &form) {
  bool amount = Signed && form.take("shiftamt");
  Type type = form.type();
  typedOperands(form, {Type::U32, type});
  auto choose = [&](auto t) {
    using T = decltype(t);
    if constexpr (Signed)
      form.inst.run = amount ? unaryLanes<uint32_t, T, FindBit<true>> : unaryLanes<uint32_t, T, FindBit<false>>;
    else
      form.inst.run = unaryLanes<uint32_t, T, Op>;
  };
  if constexpr (Signed)
    withInteger(type, choose);
  else
    withBits(type, choose);
}
void brev(Form &form) {
  Type type = form.type();
  sameTypeOperands(form, type, 1);
  withBits(type, [&](auto t) { form.inst.run = unaryLanes<decltype(t), decltype(t), Reverse>; });
}
void bfe(Form &form) {
  Type type = form.type();
  typedOperands(form, {type, type, Type::U32, Type::U32});
  withInteger(type,
              [&](auto t) { form.inst.run = ternaryLanes<decltype(t), decltype(t), uint32_t, uint32_t, Extract>; });
}
void bfi(Form &form) {
  Type type = form.type();
  typedOperands(form, {type, type, type, Type::U32, Type::U32});
  form.inst.run = byteWidth(type) == 8 ? bfiLanes<uint64_t> : bfiLanes<uint32_t>;
}
void lop3(Form &form) {
  Type type = form.type();
  if (type != Type::B32 || !form.wantOperands(5, 5))
    return form.unknown();
  form.inst.s[0] = form.dest(0, type);
  for (unsigned i = 1; i < 4; ++i)
    form.inst.s[i] = form.source(i, type);
  form.inst.imm = form.immediate(4);
  form.inst.run = lop3Lanes;
}
void prmt(Form &form) {
  Type type = form.type();
  constexpr std::string_view modes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"};
  form.inst.kind = form.takeOneOf(modes);
  sameTypeOperands(form, type, 3);
  form.inst.run = prmtLanes;
}
void shf(Form &form) {
  bool left = form.take("l"), right = form.take("r"), clamp = form.take("clamp"), wrap = form.take("wrap");
  Type type = form.type();
  if (left == right || clamp == wrap || byteWidth(type) != 4)
    return form.unknown();
  sameTypeOperands(form, type, 3);
  using U = uint32_t;
  form.inst.run =
      left ? (clamp ? ternaryLanes<U, U, U, U, Funnel<true, true>> : ternaryLanes<U, U, U, U, Funnel<true, false>>)
           : (clamp ? ternaryLanes<U, U, U, U, Funnel<false, true>> : ternaryLanes<U, U, U, U, Funnel<false, false>>);
}
} // namespace

void addBitHandlers(HandlerTable &table) {
  table["and"] = logic<And, 0>;
  table["or"] = logic<Or, 1>;
  table["xor"] = logic<Xor, 2>;
  table["not"] = logic<Not, 3>;
  table["cnot"] = cnot;
  table["shl"] = shift<ShiftLeft>;
  table["shr"] = shift<ShiftRight>;
  table["popc"] = count<Popc, false>;
  table["clz"] = count<Clz, false>;
  table["bfind"] = count<Popc, true>;
  table["brev"] = brev;
  table["bfe"] = bfe;
  table["bfi"] = bfi;
  table["lop3"] = lop3;
  table["prmt"] = prmt;
  table["shf"] = shf;
}

} // namespace peer::runtime::sim
