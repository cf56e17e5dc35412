//===- MixPass.h - passes over the pool rows that tokens select ----------===//

#ifndef PEER_LOWERING_GPU_POOL_MIXPASS_H
#define PEER_LOWERING_GPU_POOL_MIXPASS_H

#include "lowering/gpu/GpuInfo.h"
#include "lowering/gpu/block/LaneRows.h"

#include "lowering/emit/RoutingBuilder.h"

namespace peer::device {

/// What is computed of each row that a token selects, and summed over them. Rows are numbered by token: number s of a token
/// is row s % r of its pair s / r.
struct MixPass {
  /// R x F x D. The last vector's scale is a part of the weight.
  StoredTable pool;
  mlir::Value idx, weights; // T x H x K i32, T x H x K f32
  int64_t rowsPerExpert;
  /// Per vector of a row: the T x D f32 buffer whose row of the token it is multiplied with, or null.
  Values factors;
  /// Per vector: whether the sum takes it, scaled.
  llvm::SmallVector<bool> added;
  mlir::Value sum; // T x D f32

  /// What follows from a row's dot products (null without a factor) and its pair's weight.
  struct Coefficients {
    Values scales; // of the vectors; null for those that are not added
    Values kept;   // numbers to keep of this row
  };
  std::function<Coefficients(BlockBuilder &, mlir::ArrayRef<mlir::Value> dots, mlir::Value weight)> coefficients;
  /// Stores what is kept of one number: 0 where nothing is selected. One thread executes it.
  int64_t keptCount = 0;
  std::function<void(BlockBuilder &, mlir::Value token, mlir::Value number, mlir::ValueRange kept)> keep = {};
};

/// Why the pass cannot be taken, or null.
const char *rejectMixPass(mlir::Value pool, mlir::Value idx, mlir::Value weights, mlir::ArrayRef<mlir::Value> rows);

/// Launches the pass, spread over warps and blocks by the number of tokens.
void emitMixPass(LoopBuilder &host, const MixPass &pass, const GpuInfo &gpu);

// Mix.cpp
/// Why an op cannot be such a pass, or null.
const char *rejectMixOfTokens(MixOp op);
const char *rejectQuantizedMixOfTokens(QuantizedMixOp op);
const char *rejectMixGradOfTokens(MixGradOp op);
/// A mix or its gradient as such a pass.
void emitMixOfTokens(LoopBuilder &host, const MixOperands &op, const GpuInfo &gpu);
void emitMixGradOfTokens(LoopBuilder &host, MixGradOp op, const GpuInfo &gpu);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_POOL_MIXPASS_H
