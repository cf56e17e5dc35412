//===- ExpertAxis.h - values with an element for each expert -------------===//

#ifndef PEER_PASSES_CONVERSION_EXPERTAXIS_H
#define PEER_PASSES_CONVERSION_EXPERTAXIS_H

#include "ParameterNames.h"

#include "llvm/ADT/SetVector.h"

namespace peer {

/// From the scores of one router to the ops that mix the experts which it selects, through blocks and calls: all values whose last dimension
/// is one of experts, or of selected experts, and the ops that make or read them.
class ExpertAxis {
public:
  ExpertAxis(mlir::ModuleOp module, ScoreOp score);

  ScoreOp score;
  /// Scores, selections, weights and what is computed from them of the same form, in an order in which each follows from those before.
  llvm::SetVector<mlir::Value> values;
  /// Ops that read them, but for calls and returns.
  llvm::SetVector<mlir::Operation *> ops;
  /// Values that calls and returns pass on, and what they are there.
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> passed;
  /// Of the ops, those that mix.
  llvm::SmallVector<MixLikeOpInterface> mixes;

  /// Whether experts are the pairs of two halves of keys.
  bool isGrid() const;
  /// Whether it is a router's own rows that select, and the pool belongs to one of the layers (isInLayers). Fails where a block describes some that are
  /// meant and others that are not.
  mlir::FailureOr<bool> isMeant(const ParameterNames &names, llvm::ArrayRef<std::string> layers) const;
  /// Whether all operands that have one element for each expert are among the values; reports the first that is not.
  mlir::LogicalResult checkClosed() const;

private:
  void pass(mlir::Value from, mlir::Value to);
  void follow(mlir::OpOperand &use);

  mlir::SymbolTable symbols;
  llvm::DenseMap<mlir::StringAttr, llvm::SmallVector<mlir::Operation *>> calls;
};

/// Checks that parameters which change are read by these ops alone, wherever they are declared.
mlir::LogicalResult checkReaders(const ParameterNames &names, llvm::ArrayRef<ParamOp> params,
                                 const llvm::DenseSet<mlir::Operation *> &readers);

/// Makes the signature of each function that of its arguments and its return.
void updateSignatures(mlir::ModuleOp module);

} // namespace peer

#endif // PEER_PASSES_CONVERSION_EXPERTAXIS_H
