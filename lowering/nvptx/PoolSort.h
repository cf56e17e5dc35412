//===- PoolSort.h - pairs sorted by expert -------------------------------===//

#ifndef PEER_LOWERING_NVPTX_POOLSORT_H
#define PEER_LOWERING_NVPTX_POOLSORT_H

#include "Scan.h"

namespace peer::nvptx {

/// A stable radix sort of the pairs by expert, least significant digit first: sort_pairs, whose documentation says what
/// `order`, `starts` and `count` get. All buffers are rank 1 on the device; `idx` holds the expert of each pair.
///
/// Few pairs are sorted by one block in shared memory. Otherwise a pass over a digit is three launches: each block counts the
/// digits of its tile, each digit's counts are summed over the blocks before, each block scatters its tile. Ranks within
/// a warp come from matching digits, so pairs keep their order and the result is the same on every run.
void emitSortedPairs(LoopBuilder &host, mlir::Value idx, int64_t experts, mlir::Value order, mlir::Value starts,
                     mlir::Value count);

} // namespace peer::nvptx

#endif // PEER_LOWERING_NVPTX_POOLSORT_H
