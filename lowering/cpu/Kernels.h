//===- Kernels.h - vector code of the routing ops ------------------------===//
//
// One emitter per op in buffer form; `reject...` says why a shape is left to the plain loops, or is null. Ops with a token
// loop run serially here: tiling has put them into one. The others make their own parallel loops.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_CPU_KERNELS_H
#define PEER_LOWERING_CPU_KERNELS_H

#include "lowering/emit/BufferPattern.h"
#include "lowering/emit/RoutingBuilder.h"

namespace peer::cpu {

// Score.cpp
void emitScoreOp(ScoreOp op, LoopBuilder &b, const VectorOptions &options);
void emitScoreQueryGrad(ScoreQueryGradOp op, LoopBuilder &b, const VectorOptions &options);
const char *rejectScoreQueryGrad(ScoreQueryGradOp op);
void emitScoreKeyGrad(ScoreKeyGradOp op, LoopBuilder &b, const VectorOptions &options);
const char *rejectScoreKeyGrad(ScoreKeyGradOp op);
// Select.cpp
void emitSelect(SelectOp op, LoopBuilder &b, const VectorOptions &options);
const char *rejectSelect(SelectOp op);
// Gate.cpp
void emitGate(GateOp op, LoopBuilder &b, const VectorOptions &options);
void emitGateGrad(GateGradOp op, LoopBuilder &b, const VectorOptions &options);
// Mix.cpp
void emitMix(MixOp op, LoopBuilder &b, const VectorOptions &options);
const char *rejectMix(MixOp op);
void emitQuantizedMix(QuantizedMixOp op, LoopBuilder &b, const VectorOptions &options);
const char *rejectQuantizedMix(QuantizedMixOp op);
// MixGrad.cpp
void emitMixGrad(MixGradOp op, LoopBuilder &b, const VectorOptions &options);
const char *rejectMixGrad(MixGradOp op);
// RouteGrad.cpp
void emitSelectGrad(SelectGradOp op, LoopBuilder &b, const VectorOptions &options);
void emitRouteQueryGrad(RouteQueryGradOp op, LoopBuilder &b, const VectorOptions &options);
void emitRouteKeyGrad(RouteKeyGradOp op, LoopBuilder &b, const VectorOptions &options);
// PoolGrad.cpp
void emitPoolGrad(PoolGradOp op, LoopBuilder &b, const VectorOptions &options);
void emitPoolGradNorm(PoolGradNormOp op, LoopBuilder &b, const VectorOptions &options);
void emitRowUpdate(RowUpdateOp op, LoopBuilder &b, const VectorOptions &options);
// Update.cpp
void emitUpdateOp(UpdateOp op, LoopBuilder &b, const VectorOptions &options);
void emitSumSquares(SumSquaresOp op, LoopBuilder &b, const VectorOptions &options);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_KERNELS_H
