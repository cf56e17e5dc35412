//===- Capacity.h - how many selections an expert keeps ------------------===//

#ifndef PEER_LOWERING_EMIT_CAPACITY_H
#define PEER_LOWERING_EMIT_CAPACITY_H

#include "LoopBuilder.h"

namespace peer {

/// max(least, ceil(factor * T / experts)) as an index, computed in f64; no more than an i32 holds.
mlir::Value emitCapacity(LoopBuilder &b, CapacityOp op);

/// A pair's number (index) as its token, head and rank.
llvm::SmallVector<mlir::Value> emitPairPlace(LoopBuilder &b, mlir::Value pair, mlir::Value heads, mlir::Value ranks);

} // namespace peer

#endif // PEER_LOWERING_EMIT_CAPACITY_H
