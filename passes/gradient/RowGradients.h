//===- RowGradients.h - row-sparse gradients of a pool ---------*- C++ -*-===//

#ifndef PEER_PASSES_GRADIENT_ROWGRADIENTS_H
#define PEER_PASSES_GRADIENT_ROWGRADIENTS_H

#include "dialect/PeerOps.h"

namespace peer {

/// Pairs that a pool's gradient is the sum of, grouped by expert: see `peer.pool_grad`.
struct RowGradient {
  mlir::Value idx, order, starts, count, coef, x, dy;
  /// Of idx, coef, x and dy, for each token; 0 where a caller has not asked.
  int64_t rowsPerToken = 0;
  explicit operator bool() const { return bool(idx); }
};

/// The ops that `gradient` is the sum of, if all of them are row-sparse gradients, in the order of the ops that read the pool. Empty
/// if one is not.
llvm::SmallVector<RowGradOpInterface> findRowGradients(mlir::Value gradient);

/// Erases these ops and their sums, the dense form, which nothing else may read.
void eraseRowGradients(mlir::Value gradient);

/// The pairs of several ops as one list, in the order of tokens. `rowsPerToken` says how many rows each has for a token; all experts
/// have as many rows.
RowGradient joinRowGradients(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<RowGradOpInterface> ops,
                             llvm::ArrayRef<int64_t> rowsPerToken, int64_t experts);

} // namespace peer

#endif // PEER_PASSES_GRADIENT_ROWGRADIENTS_H
