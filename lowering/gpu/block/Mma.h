//===- Mma.h - products on the tensor cores ------------------------------===//
//
// mma.sync of a warp: D (16 x 8, f32) = A (16 x K) B (K x 8) + C, K = 8 for tf32 and 16 for bf16. Which elements a lane
// holds follows from `group` = lane / 4 and `member` = lane % 4:
//
//   operand       register 0             1                       2                   3
//   C, D (f32)    [group, 2m]            [group, 2m+1]           [group+8, 2m]       [group+8, 2m+1]
//   A (tf32)      [group, m]             [group+8, m]            [group, m+4]        [group+8, m+4]
//   B (tf32)      [m, group]             [m+4, group]
//   A (bf16)      [group, 2m, 2m+1]      [group+8, 2m, 2m+1]     [group, 2m+8, +9]   [group+8, 2m+8, +9]
//   B (bf16)      [2m, 2m+1, group]      [2m+8, 2m+9, group]
//
// with m = member; the lower half of a bf16 register is the element with the lower index.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_MMA_H
#define PEER_LOWERING_GPU_BLOCK_MMA_H

#include "BlockBuilder.h"

#include <array>

namespace peer::device {

/// Registers of one lane: i32 for A and B, f32 for C and D.
using FragmentA = std::array<mlir::Value, 4>;
using FragmentB = std::array<mlir::Value, 2>;
using FragmentC = std::array<mlir::Value, 4>;

/// A lane's place in its warp, index values.
struct MmaLane {
  mlir::Value group, member;
  explicit MmaLane(BlockBuilder &b);
};

/// Four zeros.
FragmentC zeroFragment(LoopBuilder &b);

/// c + a b, 16 x 8 x 8, tf32. All lanes of the warp must reach it.
FragmentC mmaTf32(LoopBuilder &b, const FragmentA &a, const FragmentB &v, const FragmentC &c);
/// c + a b, 16 x 8 x 16, bf16. All lanes of the warp must reach it.
FragmentC mmaBf16(LoopBuilder &b, const FragmentA &a, const FragmentB &v, const FragmentC &c);

/// Two f32 rounded to bf16 in one register, `low` in the lower half.
mlir::Value packBf16(LoopBuilder &b, mlir::Value low, mlir::Value high);
/// An f32 rounded to tf32 (11 significant bits, halves away from zero), as i32 whose low 13 bits are zero.
mlir::Value toTf32(LoopBuilder &b, mlir::Value v);

/// f32 registers as the sum of two tf32 each: 22 of 24 bits or more. Infinities split into infinity and NaN.
struct SplitA {
  FragmentA high, low;
};
struct SplitB {
  FragmentB high, low;
};
SplitA splitA(LoopBuilder &b, const std::array<mlir::Value, 4> &f32s);
SplitB splitB(LoopBuilder &b, const std::array<mlir::Value, 2> &f32s);

/// c + a b in nearly f32: three tf32 products, the small ones first. What is left out, low times low, is at most 2^-22 |a b|.
/// Tensor cores truncate their sums to f32: chains of many products should start from zero and be added up outside.
FragmentC mmaSplit(LoopBuilder &b, const SplitA &a, const SplitB &v, const FragmentC &c);
/// The same by two products, of f32 that a tf32 holds as they are: those that were bf16 or i8.
FragmentC mmaExact(LoopBuilder &b, const SplitA &a, const std::array<mlir::Value, 2> &f32s, const FragmentC &c);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_MMA_H
