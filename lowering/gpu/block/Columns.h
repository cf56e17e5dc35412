//===- Columns.h - kernels in which each lane stays with its columns -----===//
//
// A block works on a strip of columns and a chunk of rows. Each lane has one or several neighbouring columns of the strip, each
// warp every eighth row of the chunk: rows are read in whole lines, and what belongs to a column stays in registers.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_COLUMNS_H
#define PEER_LOWERING_GPU_BLOCK_COLUMNS_H

#include "BlockBuilder.h"
#include "lowering/emit/RoutingBuilder.h"

namespace peer::device {

/// A matrix cut into strips and chunks; one block per strip and chunk.
struct ColumnGrid {
  int64_t columns, lanes;              // static width; neighbours per lane, of which the width is a multiple
  mlir::Value rows, chunkRows, chunks; // host values

  ColumnGrid(int64_t columns, int64_t lanes, mlir::Value rows) : columns(columns), lanes(lanes), rows(rows) {}
  /// Chunks of `size` rows (index, at least 1), the last one shorter.
  void cut(LoopBuilder &host, mlir::Value size);
  int64_t width() const { return lanes * kWarpSize; }
  int64_t strips() const { return llvm::divideCeil(columns, width()); }
  mlir::Value blocks(LoopBuilder &host) const { return host.mul(chunks, host.index(strips())); }
};

/// Where a thread works.
struct ColumnTile {
  mlir::Value chunk, strip, low, high; // rows of the chunk
  mlir::Value at;                      // the lane's first column, moved back where it would be past the last
  mlir::Value inside;                  // whether it was not moved; null if it never is

  ColumnTile(BlockBuilder &b, const ColumnGrid &grid, mlir::Value block);
};

/// `lanes` sums per thread of what `terms` gives at a row and the lane's columns.
using ColumnTerms = llvm::function_ref<Values(BlockBuilder &b, mlir::Value row, mlir::Value at)>;
/// Takes the finished sums of one column; called by one thread.
using ColumnFinish = llvm::function_ref<void(BlockBuilder &b, mlir::Value column, mlir::ValueRange sums)>;

/// `count` sums over the tile's rows for each column, in a fixed order. Contains a barrier; what `finish` writes needs
/// another before other threads read it.
void emitColumnSums(BlockBuilder &b, const ColumnGrid &grid, const ColumnTile &tile, unsigned count, ColumnTerms terms,
                    ColumnFinish finish);

/// Rows of a chunk for sums over `rows` rows: enough chunks to fill a GPU, few enough to add up quickly.
mlir::Value sumChunkRows(LoopBuilder &host, mlir::Value rows);

/// Sums over all rows, by two launches: one adds up chunks, one the chunks' sums. The same result on every run.
void launchColumnSums(LoopBuilder &host, ColumnGrid grid, unsigned count, ColumnTerms terms, ColumnFinish finish);

/// Adds up partial sums `count x chunks x columns`: the second of the two.
void launchPartialSums(LoopBuilder &host, mlir::Value partial, int64_t lanes, ColumnFinish finish);

/// Runs `rowBody` for each row of a tile and the lane's columns, all rows side by side; stores belong to the thread.
void emitColumnRows(BlockBuilder &b, const ColumnTile &tile, llvm::function_ref<void(mlir::Value row)> rowBody);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_COLUMNS_H
