//===- Scan.h - counting and summing across a block of threads -----------===//

#ifndef PEER_LOWERING_GPU_BLOCK_SCAN_H
#define PEER_LOWERING_GPU_BLOCK_SCAN_H

#include "BlockBuilder.h"

namespace peer::device {

/// The lanes of the warp whose i32 is the same as this lane's, one bit each.
mlir::Value emitMatch(BlockBuilder &b, mlir::Value key);
/// Set bits of an i32, as i32; those below this lane's bit.
mlir::Value emitPopCount(BlockBuilder &b, mlir::Value bits);
mlir::Value emitRankIn(BlockBuilder &b, mlir::Value bits);

/// Sum over the threads before this one, and over all of them.
struct BlockScan {
  mlir::Value before, total;
};
/// Of one i32 per thread. Contains barriers.
BlockScan emitBlockScan(BlockBuilder &b, mlir::Value v);

/// The sum of an f64 per thread, added as a tree of fixed shape; every thread has it. `slots` is shared memory with an f64
/// for each thread, in which each has written its own. Contains barriers.
mlir::Value emitBlockSum64(BlockBuilder &b, mlir::Value slots);

/// buffer[position], or `otherwise` from `limit` (i32, may be 0) on.
mlir::Value loadBelow(BlockBuilder &b, mlir::Value buffer, mlir::Value position, mlir::Value limit,
                      mlir::Value otherwise);
/// buffer[position] = v by each thread for which the condition holds; position is i32.
void storeIf(BlockBuilder &b, mlir::Value condition, mlir::Value v, mlir::Value buffer, mlir::Value position);

/// [0, count) over all threads of a launch of `blocks` blocks.
void forGrid(BlockBuilder &b, mlir::Value block, mlir::Value blocks, mlir::Value count,
             llvm::function_ref<void(mlir::Value)> body);

/// The product of a buffer's sizes: a constant where the shape is static.
mlir::Value sizeOf(LoopBuilder &b, mlir::Value buffer);
/// Whether a vector access to buffer[..., i] is aligned for every i that is a multiple of its lanes.
bool isAligned(mlir::Value buffer);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_SCAN_H
