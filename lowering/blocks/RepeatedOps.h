//===- RepeatedOps.h - what a straight line of ops repeats ---------------===//

#ifndef PEER_LOWERING_BLOCKS_REPEATEDOPS_H
#define PEER_LOWERING_BLOCKS_REPEATEDOPS_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace peer {

/// Ops that follow each other, but for ops that can be copied.
using OpSequence = llvm::SmallVector<mlir::Operation *, 0>;

/// One sequence of ops, a mark first, at several places: they do the same, each with values of its own.
struct RepeatedOps {
  std::vector<OpSequence> places;
  /// What ops outside of a place read of it: the op in the sequence, and which of its results.
  llvm::SmallVector<std::pair<unsigned, unsigned>> results;
};

/// Whether an op costs nothing, so that each function that needs its result has a copy: sizes, constants, views, tensors without contents.
bool isCopied(mlir::Operation *op);

/// The values from outside that `op` and its regions read, in the order in which they do, each once.
llvm::SmallVector<mlir::Value> capturedBy(mlir::Operation *op);

/// Tells how the values that a sequence reads come into it, in the order of the sequence, each value once.
struct SequenceVisitor {
  /// A value from outside.
  llvm::function_ref<void(mlir::Value)> input;
  /// An op to be copied, after what it reads.
  llvm::function_ref<void(mlir::Operation *)> copy;
};
void visitReads(llvm::ArrayRef<mlir::Operation *> sequence, SequenceVisitor visitor,
                llvm::function_ref<void(mlir::Operation *)> visitOp);

/// What `block` repeats at least `fewest` times where that saves at least `least` ops, the largest first.
std::vector<RepeatedOps> findRepeatedOps(mlir::Block &block, unsigned fewest, unsigned least);

} // namespace peer

#endif // PEER_LOWERING_BLOCKS_REPEATEDOPS_H
