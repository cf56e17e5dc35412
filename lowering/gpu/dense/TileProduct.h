//===- TileProduct.h - a block's tile of a product on tensor cores --------===//

#ifndef PEER_LOWERING_GPU_DENSE_TILEPRODUCT_H
#define PEER_LOWERING_GPU_DENSE_TILEPRODUCT_H

#include "Matmul.h"

#include "lowering/gpu/block/Mma.h"
#include "lowering/gpu/block/SharedTile.h"

namespace peer::device {

/// One operand's tiles: `extent` rows of a or columns of b, some depth at a time; a is f32, b that, bf16 or i8. They lie in shared memory as in the buffer, so that they
/// can be copied by 16 bytes; the strides keep the 32 lanes of a fragment's load in different banks either way.
class ProductOperand {
public:
  /// `depthInner`: the depth is the buffer's last dimension. `rowAt`: where a row lies in the buffer, if not at its number.
  ProductOperand(BlockBuilder &b, mlir::Value buffer, bool depthInner, int64_t extent,
                 std::function<mlir::Value(mlir::Value row)> rowAt = nullptr);

  /// Reads a table of fewer bits in place of the buffer, whose type is that of the tiles: elements become f32 on their way. Only with the depth
  /// as the last dimension.
  void readStored(const StoredTable &table) { stored = table; }

  /// Starts the copy of rows or columns [first, end), the part of the tile that there is, at depths from `depth` on.
  void copy(BlockBuilder &b, mlir::Value first, mlir::Value end, mlir::Value depth, mlir::Value depthEnd,
            mlir::Value stage) const;

private:
  friend class TileProduct;
  int64_t at(int64_t i, int64_t k) const { return depthInner ? i * stride + k : k * stride + i; }
  mlir::Value at(BlockBuilder &b, mlir::Value i, mlir::Value k) const {
    return b.add(b.mul(depthInner ? i : k, b.index(stride)), depthInner ? k : i);
  }

  void copyStored(BlockBuilder &b, mlir::Value first, mlir::Value end, mlir::Value depth, mlir::Value depthEnd,
                  mlir::Value offset) const;

  mlir::Value buffer;
  std::optional<StoredTable> stored;
  bool depthInner;
  int64_t extent, stride, stageSize;
  SharedNumbers tiles;
  std::function<mlir::Value(mlir::Value)> rowAt;
};

/// A tile of c, summed over depths [begin, end).
struct TileJob {
  mlir::Value row, rowEnd, column, columnEnd, begin, end;
};

class TileProduct {
public:
  TileProduct(BlockBuilder &b, const MatmulTile &tile, ProductOperand left, ProductOperand right);

  /// Multiplies bf16, to which elements are rounded; both operands are f32.
  void roundToBf16() { bf16 = true; }

  /// The sums that this thread has.
  llvm::SmallVector<mlir::Value> emit(const TileJob &job);
  /// What `use` does with two neighbouring columns of a row, the first of an even number; the second may be at the end.
  using UsePair = llvm::function_ref<void(mlir::Value column, llvm::ArrayRef<mlir::Value> pair)>;
  /// Each thread for itself: the rows below the job's end of which it has sums; `forEachPair` goes over their columns.
  void forEachRow(const TileJob &job, llvm::ArrayRef<mlir::Value> sums,
                  llvm::function_ref<void(mlir::Value row, llvm::function_ref<void(UsePair)> forEachPair)> body);
  /// Of each of those rows, in that order and in all lanes that have a part of it: the sum of `term` of what its warp has.
  llvm::SmallVector<mlir::Value> sumRows(llvm::ArrayRef<mlir::Value> sums,
                                         llvm::function_ref<mlir::Value(mlir::Value sum)> term);

private:
  size_t count() const { return tile.fragmentsM * tile.fragmentsN; }
  void copy(const TileJob &job, mlir::Value step, mlir::Value stage);
  llvm::SmallVector<FragmentC> multiplyStage(mlir::Value stage);
  llvm::SmallVector<FragmentC> multiplyRounded(mlir::Value stage);

  BlockBuilder &b;
  MatmulTile tile;
  MmaLane lane;
  ProductOperand left, right;
  bool bf16 = false;
  mlir::Value warpRow, warpColumn; // within the tile
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_DENSE_TILEPRODUCT_H
