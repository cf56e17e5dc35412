//===- Emit.h - emitters of the nn ops -----------------------------------===//
//
// `emit(b, op, width)` writes the loops of one op in buffer form at the builder's
// insertion point. Width 1 means scalar loops and no library call.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_NN_EMIT_H
#define PEER_LOWERING_NN_EMIT_H

#include "lowering/emit/Emitters.h"
#include "lowering/tuning/Tuning.h"

namespace peer::nn {

// Each file registers the emitters it holds, with the sizes of a CPU's tiles.
void addLinear(LoopEmitters &emitters);
void addQuantizedLinear(LoopEmitters &emitters);
void addRowNorms(LoopEmitters &emitters);
void addColumnSums(LoopEmitters &emitters);
void addBatchNorm(LoopEmitters &emitters);
void addLoss(LoopEmitters &emitters);
void addProbability(LoopEmitters &emitters);
void addBalance(LoopEmitters &emitters);
void addRotary(LoopEmitters &emitters);
void addAttention(LoopEmitters &emitters);
void addCachedAttention(LoopEmitters &emitters);
void addCausalConv(LoopEmitters &emitters);
void addSelectiveScan(LoopEmitters &emitters);

// Those that serve the rows of a GPU's warps, too.
void emitOnRows(LoopBuilder &b, EmbeddingOp op, int64_t width);
void emitOnRows(LoopBuilder &b, RMSNormOp op, int64_t width);
void emitOnRows(LoopBuilder &b, RMSNormGradOp op, int64_t width);
void emitOnRows(LoopBuilder &b, LayerNormOp op, int64_t width);
void emitOnRows(LoopBuilder &b, LayerNormGradOp op, int64_t width);
void emitOnRows(LoopBuilder &b, ProbabilityOp op, int64_t width);
void emitOnRows(LoopBuilder &b, ProbabilityGradOp op, int64_t width);
void emitOnRows(LoopBuilder &b, BalanceLossOp op, int64_t width);
void emitOnRows(LoopBuilder &b, BalanceLossGradOp op, int64_t width);
void emitOnRows(LoopBuilder &b, ZLossOp op, int64_t width);
void emitOnRows(LoopBuilder &b, ZLossGradOp op, int64_t width);
void emitOnRows(LoopBuilder &b, BalanceBiasOp op, int64_t width);
void emitOnRows(LoopBuilder &b, GatherOp op, int64_t width);

/// `count` as f32: a constant where it is static.
mlir::Value emitCount(LoopBuilder &b, mlir::Value count);
/// 1 / sqrt(a + epsilon).
mlir::Value emitReciprocalRoot(LoopBuilder &b, mlir::Value a, double epsilon);
/// A position (index) as f64.
mlir::Value emitPosition(LoopBuilder &b, mlir::Value position);
/// Sine and cosine of the angle of a position (f64), where `perPosition` (f64 or a vector of it) is in full turns.
std::pair<mlir::Value, mlir::Value> emitRotation(LoopBuilder &b, mlir::Value perPosition, mlir::Value position);
/// Sets a rank-1 or rank-2 buffer to zero.
void emitZero(LoopBuilder &b, mlir::Value buffer, int64_t width);
/// Asks for a later row of a tile of a few columns, whose rows lie too far apart for the hardware to foresee them.
void emitPrefetchLater(LoopBuilder &b, llvm::ArrayRef<mlir::Value> buffers, mlir::Value row, int64_t width);
/// Each row of y is the bias.
void emitBiasRows(LoopBuilder &b, mlir::Value bias, mlir::Value y, int64_t width);
/// Calls `body` with the first row of each sequence of `context` rows of x, and its number.
void forSequences(LoopBuilder &b, mlir::Value x, int64_t context,
                  llvm::function_ref<void(mlir::Value first, mlir::Value number)> body);
/// c = alpha * op(a) op(b) + beta * c: the runtime's BLAS, or scalar loops for width 1. `bf16`: elements of a and b are rounded to it first.
void emitProduct(LoopBuilder &builder, int64_t width, mlir::Value a, bool transposeA, mlir::Value b, bool transposeB,
                 mlir::Value c, double beta = 0.0, double alpha = 1.0, bool bf16 = false);
/// buffer[row : row + rows, column : column + columns].
mlir::Value emitWindow(LoopBuilder &b, mlir::Value buffer, mlir::OpFoldResult row, mlir::OpFoldResult rows,
                       mlir::OpFoldResult column, mlir::OpFoldResult columns);

/// Tiles of as many tokens as a parameter says.
template <const TuningParameter &kTokens, typename OpTy>
std::optional<TileSizes> tokenTiles(OpTy op) {
  return tile({{"t", tuned(op, kTokens)}});
}

} // namespace peer::nn

#endif // PEER_LOWERING_NN_EMIT_H
