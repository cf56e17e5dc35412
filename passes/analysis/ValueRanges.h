//===- ValueRanges.h - what is known of integers at the graph level ------===//

#ifndef PEER_PASSES_ANALYSIS_VALUERANGES_H
#define PEER_PASSES_ANALYSIS_VALUERANGES_H

#include "dialect/PeerOps.h"
#include "dialect/interfaces/IndexRanges.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/InferIntRangeInterface.h"

namespace peer {

/// Whether the results of an op are its first operand's elements, one for one, in another shape or a wider type.
bool keepsElements(mlir::Operation *op);

/// Ranges of the integers in a function's tensors: entry arguments lie in their `peer.range`, which is checked before a call;
/// ops of one straight line follow by InferIntRangeInterface.
class ValueRanges {
public:
  explicit ValueRanges(mlir::func::FuncOp function);

  /// What is known after the ops that were visited; every value of its type where nothing is.
  mlir::ConstantIntRanges of(mlir::Value value) const;
  void visit(mlir::Operation *op);

private:
  llvm::DenseMap<mlir::Value, mlir::ConstantIntRanges> known;
};

} // namespace peer

#endif // PEER_PASSES_ANALYSIS_VALUERANGES_H
