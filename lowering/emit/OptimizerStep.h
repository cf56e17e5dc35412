//===- OptimizerStep.h - the step of an optimizer ------------------------===//

#ifndef PEER_LOWERING_EMIT_OPTIMIZERSTEP_H
#define PEER_LOWERING_EMIT_OPTIMIZERSTEP_H

#include "RoutingBuilder.h"

namespace peer {

/// An optimizer's run-time numbers, computed once per op.
struct OptimizerStep {
  OptimizerAttrInterface optimizer;
  mlir::Value rate, scale;
  Values numbers; // what the optimizer makes of the number of the step
  static constexpr int64_t kMostNumbers = 2;
};
OptimizerStep emitOptimizerStep(LoopBuilder &b, OptimizerAttrInterface optimizer, mlir::Value rate, mlir::Value step,
                                mlir::Value scale);
/// The new parameter, then the new states, of one element or one vector of them.
Values emitUpdate(LoopBuilder &b, const OptimizerStep &step, mlir::Value param, mlir::Value grad,
                  mlir::ValueRange states);
/// Loads, updates and stores `lanes` elements of the parameter and its states.
void emitUpdateAt(LoopBuilder &b, const OptimizerStep &step, mlir::Value param, mlir::ValueRange states,
                  mlir::Value grad, mlir::ValueRange at, int64_t lanes);

} // namespace peer

#endif // PEER_LOWERING_EMIT_OPTIMIZERSTEP_H
