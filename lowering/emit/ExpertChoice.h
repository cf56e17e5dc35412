//===- ExpertChoice.h - which tokens an expert takes ---------------------===//
//
// An expert takes its best tokens. Fast code sorts none: it finds the score of the last one taken bit by bit, a count of larger
// ones for each, and lets the first tokens with that score fill what room is left.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_EMIT_EXPERTCHOICE_H
#define PEER_LOWERING_EMIT_EXPERTCHOICE_H

#include "LoopBuilder.h"

namespace peer {

/// How many tokens each expert takes, as an index.
mlir::Value emitTokensPerExpert(LoopBuilder &b, SelectOp op);

/// An i32 whose unsigned order is that of scores (f32): a NaN counts as -inf, and both zeros are one. Scalar or vector.
mlir::Value emitOrderedBits(LoopBuilder &b, mlir::Value score);

/// The largest i32 (unsigned, in the shape of `like`) that at least `most` have or exceed, by `countFrom`, which counts those; 0
/// where there are not so many.
mlir::Value emitLastTaken(LoopBuilder &b, mlir::Value most, mlir::Type like,
                          llvm::function_ref<mlir::Value(mlir::Value bound)> countFrom);

} // namespace peer

#endif // PEER_LOWERING_EMIT_EXPERTCHOICE_H
