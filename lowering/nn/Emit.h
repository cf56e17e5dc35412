//===- Emit.h - emitters of the nn ops -----------------------------------===//
//
// `emit(b, op, width)` writes the loops of one op in buffer form at the builder's
// insertion point. Width 1 means scalar loops and no library call.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_NN_EMIT_H
#define PEER_LOWERING_NN_EMIT_H

#include "lowering/emit/LoopBuilder.h"

namespace peer::nn {

// Linear.cpp
void emit(LoopBuilder &b, LinearOp op, int64_t width);
void emit(LoopBuilder &b, EmbeddingOp op, int64_t width);
void emit(LoopBuilder &b, EmbeddingGradOp op, int64_t width);
// RowNorms.cpp
void emit(LoopBuilder &b, RMSNormOp op, int64_t width);
void emit(LoopBuilder &b, RMSNormGradOp op, int64_t width);
void emit(LoopBuilder &b, LayerNormOp op, int64_t width);
void emit(LoopBuilder &b, LayerNormGradOp op, int64_t width);
// ColumnSums.cpp
void emit(LoopBuilder &b, RMSNormWeightGradOp op, int64_t width);
void emit(LoopBuilder &b, LayerNormWeightGradOp op, int64_t width);
void emit(LoopBuilder &b, BatchStatsOp op, int64_t width);
void emit(LoopBuilder &b, BatchNormWeightGradOp op, int64_t width);
// BatchNorm.cpp
void emit(LoopBuilder &b, BatchNormOp op, int64_t width);
void emit(LoopBuilder &b, BatchNormGradOp op, int64_t width);
// Loss.cpp
void emit(LoopBuilder &b, ActivationOp op, int64_t width);
void emit(LoopBuilder &b, ActivationGradOp op, int64_t width);
void emit(LoopBuilder &b, CrossEntropyOp op, int64_t width);
void emit(LoopBuilder &b, CrossEntropyGradOp op, int64_t width);
void emit(LoopBuilder &b, MeanOp op, int64_t width);
void emit(LoopBuilder &b, MeanGradOp op, int64_t width);
// Rotary.cpp
void emit(LoopBuilder &b, RotaryOp op, int64_t width);
void emit(LoopBuilder &b, RotaryAtOp op, int64_t width);
// Attention.cpp, AttentionGrad.cpp, CachedAttention.cpp
void emit(LoopBuilder &b, AttentionOp op, int64_t width);
void emit(LoopBuilder &b, AttentionGradOp op, int64_t width);
void emit(LoopBuilder &b, CachedAttentionOp op, int64_t width);

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
/// c = alpha * op(a) op(b) + beta * c: the runtime's BLAS, or scalar loops for width 1.
void emitProduct(LoopBuilder &builder, int64_t width, mlir::Value a, bool transposeA, mlir::Value b, bool transposeB,
                 mlir::Value c, double beta = 0.0, double alpha = 1.0);
/// buffer[row : row + rows, column : column + columns].
mlir::Value emitWindow(LoopBuilder &b, mlir::Value buffer, mlir::OpFoldResult row, mlir::OpFoldResult rows,
                       mlir::OpFoldResult column, mlir::OpFoldResult columns);

} // namespace peer::nn

#endif // PEER_LOWERING_NN_EMIT_H
