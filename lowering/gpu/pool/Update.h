//===- Update.h - optimizer steps and sums of squares on GPUs ------------===//

#ifndef PEER_LOWERING_GPU_POOL_UPDATE_H
#define PEER_LOWERING_GPU_POOL_UPDATE_H

#include "lowering/gpu/Emitters.h"

#include "lowering/emit/OptimizerStep.h"

namespace peer::device {

/// An optimizer's run-time numbers, computed by one thread for its block. Contains a barrier.
OptimizerStep emitBlockStep(BlockBuilder &b, OptimizerAttrInterface optimizer, mlir::Value table, mlir::Value rate,
                            mlir::Value step, mlir::Value scale);

/// The threads' own sums in f64, in shared memory.
class Sums {
public:
  /// Sets them to zero.
  explicit Sums(BlockBuilder &b);
  /// Adds the squares of a value or vector to this thread's sum.
  void addSquares(BlockBuilder &b, mlir::Value v);
  /// Adds an f64 to this thread's sum.
  void add(BlockBuilder &b, mlir::Value v);
  /// The sum of all threads' sums, in a fixed order. Contains barriers.
  mlir::Value total(BlockBuilder &b);

private:
  mlir::Value slots;
};

/// result[] = the sum of partial[0 .. count), f64, in an order that depends on `count` alone: one more launch.
void launchSum(LoopBuilder &host, mlir::Value partial, mlir::Value count, mlir::Value result);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_POOL_UPDATE_H
