//===- PairGroups.h - few pairs grouped by expert ------------------------===//

#ifndef PEER_LOWERING_GPU_POOL_PAIRGROUPS_H
#define PEER_LOWERING_GPU_POOL_PAIRGROUPS_H

#include "lowering/gpu/block/BlockBuilder.h"

namespace peer::device {

/// The most pairs that emitGroupedPairs takes: their table fills two thirds of the shared memory that every block may have.
inline constexpr int64_t kMostGrouped = 4096;

/// sort_pairs of up to kMostGrouped pairs in one launch of one block, without a sort. Segments come in the order of
/// their first pairs. All buffers are rank 1 on the device, as for emitSortedPairs.
void emitGroupedPairs(LoopBuilder &host, mlir::Value idx, int64_t experts, mlir::Value order, mlir::Value starts,
                      mlir::Value count);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_POOL_PAIRGROUPS_H
