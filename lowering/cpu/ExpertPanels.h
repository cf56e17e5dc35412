//===- ExpertPanels.h - experts of many rows as matrices -------*- C++ -*-===//

#ifndef PEER_LOWERING_CPU_EXPERTPANELS_H
#define PEER_LOWERING_CPU_EXPERTPANELS_H

#include "lowering/emit/RoutingBuilder.h"

namespace peer::cpu {

/// Pairs of an expert, and rows of it, that are multiplied at once: what scratch is made for, however many there are.
inline constexpr int64_t kPairsAtOnce = 128, kRowsAtOnce = 128;

inline int64_t rowsAtOnce(int64_t rowsPerExpert) { return std::min(rowsPerExpert, kRowsAtOnce); }

/// The first rows and columns of a scratch matrix.
mlir::Value corner(LoopBuilder &b, mlir::Value matrix, mlir::OpFoldResult rows, mlir::OpFoldResult columns);

/// table[first : first + rows, f, :] of a table `R x F x D`, as a matrix.
mlir::Value vectorsOf(LoopBuilder &b, mlir::Value table, mlir::Value first, mlir::OpFoldResult rows, int64_t f);

/// table[first : first + rows, :, :].
mlir::Value rowsAt(LoopBuilder &b, mlir::Value table, mlir::Value first, mlir::OpFoldResult rows);

/// into[i, :] = from[token of entry first + i of order, :] for i < count, both matrices of f32; `pairs` are a token's.
void gatherRows(LoopBuilder &b, mlir::Value from, mlir::Value into, mlir::Value order, mlir::Value first,
                mlir::Value count, int64_t pairs, int64_t width);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_EXPERTPANELS_H
