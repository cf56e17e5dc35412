// One instruction's access of memory, as far as it goes to one place: an allocation, or a block's shared, local or parameter memory.
#pragma once

#include "Memory.h"
#include "sim/ptx/Program.h"

#include <bit>
#include <type_traits>

namespace peer::runtime::sim {

/// Calls `f` with the number of every lane of a mask, in order.
template <typename F>
void eachLane(Mask mask, F f) {
  // Unrolled 32 times, as compilers like to, checks leave no room in the cache of instructions.
  if (mask == kAllLanes)
    _Pragma("clang loop unroll(disable)") for (unsigned lane = 0; lane < kLanes; ++lane) f(lane);
  else
    for (Mask rest = mask; rest; rest &= rest - 1)
      f(static_cast<unsigned>(std::countr_zero(rest)));
}

/// Calls `f` with the number of bytes of an access, as a constant.
template <typename F>
void withSize(unsigned bytes, F f) {
  switch (bytes) {
  case 1:
    return f(std::integral_constant<unsigned, 1>());
  case 2:
    return f(std::integral_constant<unsigned, 2>());
  case 4:
    return f(std::integral_constant<unsigned, 4>());
  case 8:
    return f(std::integral_constant<unsigned, 8>());
  case 16:
    return f(std::integral_constant<unsigned, 16>());
  default:
    return f(std::integral_constant<unsigned, 32>());
  }
}

/// Where an address leads. Addresses are alike in the bits of `key` if they lead to the same place; `offsets` are the other ones.
struct Region {
  Space space = Space::Global;
  /// Global memory only; null where there is none.
  Allocation *allocation = nullptr;
  uint8_t *base = nullptr;
  uint64_t room = 0;
  uint64_t key = 0, offsets = ~uint64_t{0};
  bool writable = true;
};

struct Access {
  enum class Pattern : uint8_t { Scattered, Same, Consecutive };
  Space space = Space::Global;
  /// How the addresses of the lanes are to each other: known where it makes a difference in speed.
  Pattern pattern = Pattern::Scattered;
  /// Of one lane.
  unsigned bytes = 0;
  /// Lanes whose addresses lead to this place; those of them whose access is in bounds and aligned.
  Mask taken = 0, lanes = 0;
  Allocation *allocation = nullptr;
  uint8_t *base = nullptr;
  const uint64_t *addresses = nullptr;
  /// From `base`.
  uint64_t offset[kLanes];

  uint8_t *data(unsigned lane) const { return base + offset[lane]; }

  /// Calls `f(offset, bytes)` with ranges that together are what the lanes touch, until it is false.
  template <typename F>
  bool eachRange(F f) const {
    if (lanes == 0)
      return true;
    uint64_t begin = offset[std::countr_zero(lanes)], end = begin + bytes;
    if (pattern == Pattern::Same)
      return f(begin, bytes);
    if (pattern == Pattern::Consecutive)
      return f(begin, uint64_t{bytes} * static_cast<unsigned>(std::popcount(lanes)));
    // Neighbours are often side by side, or at one place, in groups.
    for (Mask rest = lanes & (lanes - 1); rest; rest &= rest - 1) {
      uint64_t at = offset[std::countr_zero(rest)];
      if (at == end) {
        end += bytes;
      } else if (at < begin || at >= end) {
        if (!f(begin, end - begin))
          return false;
        begin = at;
        end = at + bytes;
      }
    }
    return f(begin, end - begin);
  }
};

} // namespace peer::runtime::sim
