//===- Capacity.h - how many selections an expert keeps ------------------===//

#ifndef PEER_LOWERING_EMIT_CAPACITY_H
#define PEER_LOWERING_EMIT_CAPACITY_H

#include "LoopBuilder.h"

namespace peer {

/// ceil(factor * tokens / experts) as an index, computed in f64; no more than an i32 holds.
mlir::Value emitShare(LoopBuilder &b, mlir::Value tokens, double factor, int64_t experts);
/// max(least, the share of an expert).
mlir::Value emitCapacity(LoopBuilder &b, CapacityOp op);

/// A pair's number (index) as its token, head and rank.
llvm::SmallVector<mlir::Value> emitPairPlace(LoopBuilder &b, mlir::Value pair, mlir::Value heads, mlir::Value ranks);

/// A pair, as what says its priority.
struct RankedPair {
  mlir::Value pair, weight, rank; // weight as emitScore makes it; by token neither it nor the rank is asked
};
/// Whether pair x of an expert is taken before its pair y.
mlir::Value emitPrecedes(LoopBuilder &b, Priority priority, const RankedPair &x, const RankedPair &y);

/// buffer[0 : size] = value, of i32.
void emitFill(LoopBuilder &b, mlir::Value buffer, mlir::Value size, int64_t value);
/// buffer[at] += 1, of i32; what was there before.
mlir::Value emitIncrement(LoopBuilder &b, mlir::Value buffer, mlir::ValueRange at);

} // namespace peer

#endif // PEER_LOWERING_EMIT_CAPACITY_H
