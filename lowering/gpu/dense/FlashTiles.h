//===- FlashTiles.h - what attention kernels are made of -----------------===//
//
// Attention without its matrix of scores (arXiv 2205.14135, 2307.08691): a warp holds 16 rows of one matrix, tiles of rows
// of others pass by in shared memory. All products are mmaSplit (Mma.h), so they are nearly f32.
//
// What a product leaves in a lane's registers (layout C) is what the next one wants (layout A), if that counts its depth in
// another order: places m and m + 4 of a step are the columns 2m and 2m + 1. Probabilities never leave their registers.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_DENSE_FLASHTILES_H
#define PEER_LOWERING_GPU_DENSE_FLASHTILES_H

#include "lowering/gpu/block/Mma.h"
#include "lowering/gpu/block/SharedTile.h"

#include <functional>

namespace peer::device {

/// Columns of one head, padded by zeros to whole fragments in shared memory and registers.
struct HeadWidth {
  int64_t heads, width;

  int64_t steps() const { return llvm::divideCeil(width, 8); }
  int64_t padded() const { return 8 * steps(); }
  /// Between rows in shared memory: neither way of reading a tile meets a bank twice.
  int64_t stride() const { return padded() + 4; }
};
/// Shared memory that a kernel may declare, in bytes.
inline constexpr int64_t kStaticShared = 48 * 1024;

/// Fragments side by side: 16 rows by 8 columns each.
using Fragments = mlir::SmallVector<FragmentC>;

/// 16 rows of a matrix, as f32 in layout A; a step is 8 columns.
using RowsOfWarp = std::function<std::array<mlir::Value, 4>(int64_t step)>;

/// Rows of a tile in shared memory, the first at `offset`.
struct TileRows {
  SharedNumbers floats;
  mlir::Value offset;
};

class FlashBuilder {
public:
  FlashBuilder(BlockBuilder &b, HeadWidth head);

  /// The lane's row among the block's: of elements 0 and 1 (half 0) and of 2 and 3 (half 1) of a fragment.
  mlir::Value row(int64_t half) { return b.add(b.add(rowOfWarp, lane.group), b.index(8 * half)); }
  /// The column in fragment `n` of its element `e`.
  mlir::Value column(int64_t n, int64_t e);

  /// The warp's rows of a block that starts at `from.row`, in registers.
  RowsOfWarp loadRows(const Window &from);
  /// The warp's rows of a tile that holds the block's.
  RowsOfWarp sharedRows(const TileRows &tile);

  /// rows tile^T: as many fragments as `count` times 8 rows of the tile.
  Fragments timesTransposed(const RowsOfWarp &rows, const TileRows &tile, int64_t count);
  /// sum * factor + left tile: left has as many fragments as the tile has rows, by 8; the sum one for each 8 columns of the
  /// head. `factors` are those of the lane's two rows; none: 1.
  Fragments addTimes(const Fragments &sum, const Fragments &left, const TileRows &tile,
                     mlir::ArrayRef<mlir::Value> factors = {});

  /// Combines the lanes that share a row.
  mlir::Value rowSum(mlir::Value v);
  mlir::Value rowMax(mlir::Value v);

  /// Writes the warp's rows of a block that starts at `to.row`.
  void storeRows(const Fragments &rows, const Window &to);

private:
  BlockBuilder &b;
  HeadWidth head;
  MmaLane lane;
  mlir::Value rowOfWarp;
};

Fragments zeroFragments(LoopBuilder &b, int64_t count);
/// For what a loop carries: fragments to values and back.
void append(mlir::SmallVectorImpl<mlir::Value> &values, const Fragments &fragments);
Fragments takeFragments(mlir::ValueRange values, size_t first, size_t count);

/// Loops over tiles [first, end): `copy` starts the copy of a tile into a stage, `body` has it there. With two stages the
/// next tile comes while one is in use. All threads of the block must reach it.
mlir::SmallVector<mlir::Value> forTiles(
    BlockBuilder &b, mlir::Value first, mlir::Value end, int64_t stages, mlir::ValueRange init,
    llvm::function_ref<void(mlir::Value tile, mlir::Value stage)> copy,
    llvm::function_ref<mlir::SmallVector<mlir::Value>(mlir::Value tile, mlir::Value stage, mlir::ValueRange carried)>
        body);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_DENSE_FLASHTILES_H
