//===- UpdatePasses.h - optimizers that look at a whole parameter --------===//
//
// Some steps need to know more than an element: means over rows or columns of the gradient, or the size of the whole step. Such an
// update is several passes, each over rows or columns, written once for all targets.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_EMIT_UPDATEPASSES_H
#define PEER_LOWERING_EMIT_UPDATEPASSES_H

#include "OptimizerStep.h"

namespace peer {

/// How a target makes a pass.
struct PassTarget {
  /// Elements of an access, where rows are a multiple of as many or the target takes what is left, too.
  int64_t lanes = 1;
  /// Whether the operands flatten.
  bool flat = true;
  using Unit = llvm::function_ref<void(LoopBuilder &b, OptimizerStep step, mlir::Value i)>;
  /// Does `body` for each i of [0, count), in any order or side by side; each has about `elements` elements to look at. The next
  /// pass sees what this one wrote.
  std::function<void(int64_t count, int64_t elements, Unit body)> pass;
};

/// Whether an update is one of passes.
bool isInPasses(UpdateOp op);
void emitUpdateInPasses(LoopBuilder &host, UpdateOp op, const PassTarget &target);
/// How many elements a row has in these passes.
int64_t columnsInPasses(UpdateOp op);

} // namespace peer

#endif // PEER_LOWERING_EMIT_UPDATEPASSES_H
