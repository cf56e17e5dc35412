//===- Loops.h - plain loops of the routing ops --------------------------===//
//
// The slow, obvious decomposition of each op in buffer form: scalar, serial, in the order of the formula. It is the
// fallback for shapes that no fast path takes and the oracle for those that one does, so it shares with the vector code
// only what defines a result (the order of selections, the formulas of ExpertMath.h, an optimizer's step).
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_PLAIN_LOOPS_H
#define PEER_LOWERING_PLAIN_LOOPS_H

#include "lowering/emit/Emitters.h"
#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/RoutingBuilder.h"

namespace peer::loops {

// Each file registers the emitters it holds.
void addForward(LoopEmitters &emitters);
void addSelect(LoopEmitters &emitters);
void addMix(LoopEmitters &emitters);
void addRouteGrad(LoopEmitters &emitters);
void addPoolGrad(LoopEmitters &emitters);
void addUpdate(LoopEmitters &emitters);
void addCapacity(LoopEmitters &emitters);

/// Sets every element of a float buffer to zero.
void fillZero(LoopBuilder &b, mlir::Value buffer);
/// The head to read a buffer of keys at: 0 where they are shared.
mlir::Value keyHead(LoopBuilder &b, mlir::Value keys, mlir::Value head);
/// Sum of f32 terms over [0, bound).
mlir::Value sum(LoopBuilder &b, mlir::Value bound, llvm::function_ref<mlir::Value(mlir::Value)> term);
/// result[] = the sum of squares of what `terms` adds, in f64.
void emitSquares(LoopBuilder &b, mlir::Value result,
                 llvm::function_ref<void(llvm::function_ref<void(mlir::Value term)> add)> terms);

} // namespace peer::loops

#endif // PEER_LOWERING_PLAIN_LOOPS_H
