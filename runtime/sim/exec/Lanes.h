// Instructions that do the same on every lane, written once; the compiler turns the loops into vector code.
#pragma once

#include "Block.h"
#include "sim/ptx/Decode.h"

#include <array>
#include <bit>
#include <type_traits>

namespace peer::runtime::sim {

// Registers of one instruction are the same place or do not overlap, so iterations are independent.
#define PEER_LANES _Pragma("clang loop vectorize(assume_safety)") for (unsigned lane = 0; lane < kLanes; ++lane)

/// Whether a lane is in a mask.
inline bool in(Mask mask, unsigned lane) { return mask >> lane & 1; }

/// One bit of a mask for each lane: a table, because the smallest vector units cannot shift each lane by another amount.
constexpr auto kLaneBits = [] {
  std::array<Mask, kLanes> bits{};
  for (unsigned lane = 0; lane < kLanes; ++lane)
    bits[lane] = Mask{1} << lane;
  return bits;
}();

/// The lanes for which `is` holds.
template <typename F>
Mask lanesWhere(F is) {
  Mask r = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane)
    r |= Mask{is(lane)} << lane;
  return r;
}

template <typename R, typename F>
void writeLanes(Warp &warp, uint32_t slot, Mask mask, F value) {
  R *to = warp.lanes<R>(slot);
  if (mask == kAllLanes) {
    PEER_LANES to[lane] = value(lane);
  } else {
    eachLane(mask, [&](unsigned lane) { to[lane] = value(lane); });
  }
}

/// result = Op(a): R from one A.
template <typename R, typename A, typename Op>
void unaryLanes(Warp &warp, const Inst &inst, Mask mask) {
  const A *a = warp.lanes<A>(inst.s[1]);
  writeLanes<R>(warp, inst.s[0], mask, [a](unsigned lane) { return static_cast<R>(Op()(a[lane])); });
}

template <typename R, typename A, typename B, typename Op>
void binaryLanes(Warp &warp, const Inst &inst, Mask mask) {
  const A *a = warp.lanes<A>(inst.s[1]);
  const B *b = warp.lanes<B>(inst.s[2]);
  writeLanes<R>(warp, inst.s[0], mask, [a, b](unsigned lane) { return static_cast<R>(Op()(a[lane], b[lane])); });
}

template <typename R, typename A, typename B, typename C, typename Op>
void ternaryLanes(Warp &warp, const Inst &inst, Mask mask) {
  const A *a = warp.lanes<A>(inst.s[1]);
  const B *b = warp.lanes<B>(inst.s[2]);
  const C *c = warp.lanes<C>(inst.s[3]);
  writeLanes<R>(warp, inst.s[0], mask,
                [a, b, c](unsigned lane) { return static_cast<R>(Op()(a[lane], b[lane], c[lane])); });
}

/// The unsigned type in which integers of type T are computed: no overflow is undefined, no promotion to int gets in the way.
template <typename T>
using Wrap = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>;

/// The upper half of a product.
template <typename T>
T mulHigh(T a, T b) {
  if constexpr (sizeof(T) == 8) {
    // __int128 is an extension of both compilers that build this.
    __extension__ using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> 64);
  } else {
    using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> (8 * sizeof(T)));
  }
}

/// Calls `f` with a value of the C++ type that holds `type`; false for types that are no integers of 16 to 64 bits.
template <typename F>
bool withInteger(Type type, F f) {
  switch (type) {
  case Type::U16:
  case Type::B16:
    f(uint16_t{});
    return true;
  case Type::S16:
    f(int16_t{});
    return true;
  case Type::U32:
  case Type::B32:
    f(uint32_t{});
    return true;
  case Type::S32:
    f(int32_t{});
    return true;
  case Type::U64:
  case Type::B64:
    f(uint64_t{});
    return true;
  case Type::S64:
    f(int64_t{});
    return true;
  default:
    return false;
  }
}

/// As withInteger, for types whose sign does not matter: only unsigned ones.
template <typename F>
bool withBits(Type type, F f) {
  switch (byteWidth(type)) {
  case 2:
    f(uint16_t{});
    return true;
  case 4:
    f(uint32_t{});
    return true;
  case 8:
    f(uint64_t{});
    return true;
  default:
    return false;
  }
}

/// Reads the operands of `op d, a, b, ...;`, each of its type.
inline void typedOperands(Form &form, std::initializer_list<Type> types) {
  if (!form.wantOperands(types.size(), types.size()))
    return;
  for (unsigned i = 0; Type type : types) {
    form.inst.s[i] = i == 0 ? form.dest(i, type) : form.source(i, type);
    ++i;
  }
}

/// The same for one to three sources, all of one type.
inline void sameTypeOperands(Form &form, Type type, unsigned sources) {
  if (sources == 1)
    typedOperands(form, {type, type});
  else if (sources == 2)
    typedOperands(form, {type, type, type});
  else
    typedOperands(form, {type, type, type, type});
}

} // namespace peer::runtime::sim
