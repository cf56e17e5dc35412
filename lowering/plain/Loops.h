//===- Loops.h - plain loops of the routing ops --------------------------===//
//
// The slow, obvious decomposition of each op in buffer form: scalar, serial, in the order of the formula. It is the
// fallback for shapes that no fast path takes and the oracle for those that one does, so it shares with the vector code
// only what defines a result (the order of selections, an optimizer's step).
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_PLAIN_LOOPS_H
#define PEER_LOWERING_PLAIN_LOOPS_H

#include "lowering/emit/BufferPattern.h"
#include "lowering/emit/RoutingBuilder.h"

namespace peer::loops {

// Forward.cpp
void emitScoreOp(ScoreOp op, LoopBuilder &b);
void emitGate(GateOp op, LoopBuilder &b);
void emitUsage(UsageOp op, LoopBuilder &b);
// Select.cpp
void emitSelect(SelectOp op, LoopBuilder &b);
// Mix.cpp
void emitMix(MixOp op, LoopBuilder &b);
void emitQuantizedMix(QuantizedMixOp op, LoopBuilder &b);
void emitMixGrad(MixGradOp op, LoopBuilder &b);
// RouteGrad.cpp
void emitSelectGrad(SelectGradOp op, LoopBuilder &b);
void emitScoreQueryGrad(ScoreQueryGradOp op, LoopBuilder &b);
void emitScoreKeyGrad(ScoreKeyGradOp op, LoopBuilder &b);
void emitRouteQueryGrad(RouteQueryGradOp op, LoopBuilder &b);
void emitRouteKeyGrad(RouteKeyGradOp op, LoopBuilder &b);
void emitGateGrad(GateGradOp op, LoopBuilder &b);
// PoolGrad.cpp
void emitSortPairs(SortPairsOp op, LoopBuilder &b);
void emitPoolGrad(PoolGradOp op, LoopBuilder &b);
void emitPoolGradNorm(PoolGradNormOp op, LoopBuilder &b);
void emitRowUpdate(RowUpdateOp op, LoopBuilder &b);
// Update.cpp
void emitUpdateOp(UpdateOp op, LoopBuilder &b);
void emitSumSquares(SumSquaresOp op, LoopBuilder &b);

/// Sets every element of a float buffer to zero.
void fillZero(LoopBuilder &b, mlir::Value buffer);
/// The head to read a buffer of keys at: 0 where they are shared.
mlir::Value keyHead(LoopBuilder &b, mlir::Value keys, mlir::Value head);
/// Sum of f32 terms over [0, bound).
mlir::Value sum(LoopBuilder &b, mlir::Value bound, llvm::function_ref<mlir::Value(mlir::Value)> term);
/// result[] = the sum of squares of what `terms` adds, in f64.
void emitSquares(LoopBuilder &b, mlir::Value result,
                 llvm::function_ref<void(llvm::function_ref<void(mlir::Value term)> add)> terms);
/// The key that selection `expert` (an index) takes in half p of a product of n keys, or the expert itself for P = 1.
mlir::Value keyOf(LoopBuilder &b, mlir::Value expert, unsigned p, unsigned halves, int64_t n);

} // namespace peer::loops

#endif // PEER_LOWERING_PLAIN_LOOPS_H
