//===- CausalConv.h - some channels of a causal convolution --------------===//

#ifndef PEER_LOWERING_NN_CAUSALCONV_H
#define PEER_LOWERING_NN_CAUSALCONV_H

#include "Emit.h"

namespace peer::nn {

/// `lanes` channels from `at` on, whose weights are loaded once. Rows of a sequence count from its first, `first`.
class ConvStrip {
public:
  ConvStrip(LoopBuilder &b, mlir::Value weight, mlir::Value at, int64_t lanes);

  /// y[t].
  mlir::Value emitRow(mlir::Value x, mlir::Value first, mlir::Value t);
  /// dx[t], of a sequence of `context` (index) rows.
  mlir::Value emitRowGrad(mlir::Value dy, mlir::Value first, mlir::Value t, mlir::Value context);
  /// dweight of a sequence, row by row.
  llvm::SmallVector<mlir::Value> emitWeightGrad(mlir::Value x, mlir::Value dy, mlir::Value first, mlir::Value context);
  /// y[t] of the token at start + t, which goes into the cache.
  void emitCached(mlir::Value x, mlir::Value cache, mlir::Value start, mlir::Value t, mlir::Value y);

private:
  /// rows[first + row], or zero.
  mlir::Value take(mlir::Value rows, mlir::Value first, mlir::Value row, mlir::Value inside);
  /// The rows that y[t] is made of.
  llvm::SmallVector<mlir::Value> takeBefore(mlir::Value rows, mlir::Value first, mlir::Value t);

  LoopBuilder &b;
  mlir::Value at;
  int64_t lanes;
  llvm::SmallVector<mlir::Value> weights;
};

} // namespace peer::nn

#endif // PEER_LOWERING_NN_CAUSALCONV_H
