//===- SavedValues.h - what a backward pass reads of a forward pass ------===//

#ifndef PEER_PASSES_GRADIENT_SAVEDVALUES_H
#define PEER_PASSES_GRADIENT_SAVEDVALUES_H

#include "passes/analysis/TokenCounts.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace peer {

/// The type with one row per token, as entries take and return it, of a value with several: `T*k x ...` is `T x k x ...`.
mlir::RankedTensorType splitRows(mlir::RankedTensorType type, RowCount rows);

/// Cuts a block that computes a function and then its gradients: what of the first the second reads is either saved or
/// computed again.
class SavedValues {
public:
  /// `mapping` leads from the values of `function` to those of the block.
  SavedValues(mlir::func::FuncOp function, const mlir::IRMapping &mapping);

  /// Decides, for a block whose results are `wanted`. Those that are forward values themselves are saved.
  void choose(mlir::ValueRange wanted);

  /// Values of `function`, in the order of its ops.
  llvm::ArrayRef<mlir::Value> saved() const { return chosen; }
  /// How many rows a value of `function` has, where it is known.
  std::optional<RowCount> rowsOf(mlir::Value value) const { return counts.rowsOf(value); }
  /// A name for a saved value, such as "idx".
  std::string nameOf(mlir::Value value);

private:
  bool canBeSaved(mlir::Value value) const;
  /// Whether its operands are there anyway, and it costs no more than reading them.
  bool isCheap(mlir::Operation *op) const;
  bool isThere(mlir::Value value) const;
  void demandOperands(mlir::Operation *op);

  mlir::Block &body;
  const mlir::IRMapping &mapping;
  TokenCounts counts;
  /// Values that inputs have a part in, and those that cheap ops make of arguments.
  llvm::DenseSet<mlir::Value> dependent, free;
  llvm::DenseSet<mlir::Value> demanded, kept;
  llvm::SmallVector<mlir::Value> chosen;
  llvm::StringMap<unsigned> names;
};

} // namespace peer

#endif // PEER_PASSES_GRADIENT_SAVEDVALUES_H
