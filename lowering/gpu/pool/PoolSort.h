//===- PoolSort.h - pairs sorted by expert -------------------------------===//

#ifndef PEER_LOWERING_GPU_POOL_POOLSORT_H
#define PEER_LOWERING_GPU_POOL_POOLSORT_H

#include "lowering/gpu/block/Scan.h"

namespace peer::device {

/// sort_pairs, whose documentation says what `order`, `starts` and `count` get. All buffers are rank 1 on the device; `idx`
/// holds the expert of each pair. The same on every run.
///
/// Few pairs are grouped by one block (PairGroups.h). Otherwise a stable radix sort, least significant digit first, so that
/// segments are in the order of their experts: a pass over a digit is three launches. Each block counts the digits of its tile,
/// each digit's counts are summed over the blocks before, each block scatters its tile. Ranks within a warp come from
/// matching digits, so pairs keep their order.
void emitSortedPairs(LoopBuilder &host, mlir::Value idx, int64_t experts, mlir::Value order, mlir::Value starts,
                     mlir::Value count);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_POOL_POOLSORT_H
