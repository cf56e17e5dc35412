//===- OptimizerStep.h - the step of an optimizer ------------------------===//

#ifndef PEER_LOWERING_EMIT_OPTIMIZERSTEP_H
#define PEER_LOWERING_EMIT_OPTIMIZERSTEP_H

#include "RoutingBuilder.h"

namespace peer {

/// An optimizer's run-time numbers, computed once per op.
struct OptimizerStep {
  OptimizerAttrInterface optimizer;
  mlir::Value rate, scale;
  Values numbers;   // what the optimizer makes of the number of the step
  mlir::Value seed; // of the bits that round a bf16 table, an i32; null for one of f32
  static constexpr int64_t kMostNumbers = 2;
};
OptimizerStep emitOptimizerStep(LoopBuilder &b, OptimizerAttrInterface optimizer, mlir::Value table, mlir::Value rate,
                                mlir::Value step, mlir::Value scale);
/// The seed of a step for a table.
mlir::Value emitRoundingSeed(LoopBuilder &b, mlir::Value table, mlir::Value step);
/// The new parameter, then the new states, of one element or one vector of them.
Values emitUpdate(LoopBuilder &b, const OptimizerStep &step, mlir::Value param, mlir::Value grad,
                  mlir::ValueRange states);
/// New values of table[at...] as the table stores them: those of a bf16 one are rounded up or down, by chance, so that their
/// mean is what was to be stored. The bits of chance follow from the step and the element alone.
mlir::Value emitRounded(LoopBuilder &b, const OptimizerStep &step, mlir::Value updated, mlir::Value table,
                        mlir::ValueRange at);
/// Loads, updates and stores `lanes` elements of the parameter and its states.
void emitUpdateAt(LoopBuilder &b, const OptimizerStep &step, mlir::Value param, mlir::ValueRange states,
                  mlir::Value grad, mlir::ValueRange at, int64_t lanes);

} // namespace peer

#endif // PEER_LOWERING_EMIT_OPTIMIZERSTEP_H
