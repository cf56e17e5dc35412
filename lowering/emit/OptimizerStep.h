//===- OptimizerStep.h - the step of an optimizer ------------------------===//

#ifndef PEER_LOWERING_EMIT_OPTIMIZERSTEP_H
#define PEER_LOWERING_EMIT_OPTIMIZERSTEP_H

#include "RoutingBuilder.h"

namespace peer {

/// An optimizer's run-time numbers, computed once per op.
struct OptimizerStep {
  OptimizerAttrInterface optimizer;
  llvm::SmallVector<OptimizerState> states; // of the parameter that it updates
  mlir::Value rate, scale;
  Values numbers;   // what the optimizer makes of the number of the step
  mlir::Value seed; // of the bits that round to bf16, an i32; null where nothing is rounded by chance
  static constexpr int64_t kMostNumbers = 2;
  mlir::Value rowMean,
      bound; // of passes over a whole parameter: the mean state of its rows, the factor that bounds its step

  /// Whether states are of rows or columns: means of squares of the gradient along them come before the elements.
  bool hasMeans() const;
};
OptimizerStep emitOptimizerStep(LoopBuilder &b, OptimizerAttrInterface optimizer, mlir::Value table, mlir::Value rate,
                                mlir::Value step, mlir::Value scale);
/// The seed of a step for a table and its states.
mlir::Value emitRoundingSeed(LoopBuilder &b, OptimizerAttrInterface optimizer, mlir::Value table, mlir::Value step);

/// The square of a scaled gradient, which means are taken of.
mlir::Value emitSquare(LoopBuilder &b, const OptimizerStep &step, mlir::Value grad);
/// The new state of a row or a column, or of several columns, whose squares have this mean.
mlir::Value emitMeanState(LoopBuilder &b, const OptimizerStep &step, mlir::Value mean, mlir::Value old);
/// Updates the states of a row whose squares have this mean: states[row], for those that are of rows. Returns them, and null for
/// the others.
Values emitRowStates(LoopBuilder &b, const OptimizerStep &step, mlir::ValueRange states, mlir::Value row,
                     mlir::Value mean);

/// Whether the direction of a parameter's step is bounded as a whole: by the factor that emitBound makes of its mean square.
bool isBounded(OptimizerAttrInterface optimizer);
mlir::Value emitDirection(LoopBuilder &b, const OptimizerStep &step, mlir::Value grad, mlir::ValueRange states);
mlir::Value emitBound(LoopBuilder &b, const OptimizerStep &step, mlir::Value meanSquare);

/// The new parameter, then the new states of elements, of one element or one vector of them. `states` are the old ones, but for
/// those of rows and columns, which are new.
Values emitUpdate(LoopBuilder &b, const OptimizerStep &step, mlir::Value param, mlir::Value grad,
                  mlir::ValueRange states);
/// Loads, updates and stores `lanes` elements of the parameter and its states. `means` has the new states of rows and columns,
/// each for one element or for all lanes, and null for the others; it may be empty where there are none. `run` is emitRounded's.
void emitUpdateAt(LoopBuilder &b, const OptimizerStep &step, mlir::Value param, mlir::ValueRange states,
                  mlir::Value grad, mlir::ValueRange at, int64_t lanes, llvm::ArrayRef<mlir::Value> means = {},
                  int64_t run = 0);

} // namespace peer

#endif // PEER_LOWERING_EMIT_OPTIMIZERSTEP_H
