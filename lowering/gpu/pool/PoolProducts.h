//===- PoolProducts.h - a pool's gradient, expert by expert --------------===//
//
// A segment of the sorted pairs is one expert, and the gradient of its rows is a product of matrices: of its pairs' coefficients, transposed, by
// their rows of x or dy. A block has a tile of an expert's rows, of one vector each, and goes over all pairs of the segment on the tensor
// cores; what comes out is used from registers. So each sum has one owner and one order, and a row of x is read once for
// many rows of an expert.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_POOL_POOLPRODUCTS_H
#define PEER_LOWERING_GPU_POOL_POOLPRODUCTS_H

#include "PoolRows.h"

#include "lowering/emit/MixForm.h"
#include "lowering/gpu/Emitters.h"
#include "lowering/gpu/dense/Matmul.h"

namespace peer::device {

/// Null, or why pairs are not taken by expert: that sizes are static, and there are too few of them. How many experts are touched is not known to the
/// host: as many as there are, or one by each pair.
const char *rejectFewPairs(mlir::Operation *op, mlir::Value idx);
/// An emitter that takes an op's pairs by expert, and few of them otherwise: it takes neither what `byExpert` nor what `otherwise` rejects.
template <typename OpTy>
void addByExpert(Emitters &emitters, void (*emit)(OpTy, LoopBuilder &, const GpuInfo &),
                 std::function<const char *(OpTy)> byExpert, std::function<const char *(OpTy)> otherwise) {
  auto reject = [byExpert, otherwise](OpTy op) {
    const char *why = byExpert(op);
    return why ? why : otherwise(op);
  };
  emitters.grid<OpTy>({.emit = emit, .reject = reject, .name = remarks::kProducts, .why = [](OpTy op) {
                         return describeGrouping(op);
                       }});
}
/// What that leaves: by expert, or where sizes are not static as the host finds them to be.
class HostForm {
public:
  HostForm(LoopBuilder &host, mlir::Operation *op, mlir::Value pairs);
  void emit(LoopBuilder &host, llvm::function_ref<void()> byExpert, llvm::function_ref<void()> byToken) const;
  /// `pairs` where they are taken by expert, else 0: a size of scratch.
  mlir::Value used(LoopBuilder &host) const;

private:
  mlir::Value pairs, condition; // null where it is known
};

/// The launches of a pass over all touched rows: what RowPass is for experts of few rows.
class PoolProducts {
public:
  /// `tables`: what `use` accesses at the places it is given.
  template <typename OpTy>
  PoolProducts(LoopBuilder &host, OpTy op, mlir::ValueRange tables, const GpuInfo &gpu)
      : PoolProducts(host, op,
                     {op.getIdx(), op.getOrder(), op.getStarts(), op.getCount(), op.getCoef(), op.getX(), op.getDy()},
                     tables, gpu) {}

  /// Null, or why an op's rows go one by one.
  static const char *reject(mlir::Operation *op);

  /// By expert, where that pays; else `byRow`.
  void emit(LoopBuilder &host, llvm::function_ref<void()> byExpert, llvm::function_ref<void()> byRow) const {
    form.emit(host, byExpert, byRow);
  }

  /// Parts of a row that different warps sum, several in any case, and elements.
  int64_t slicesOfRow() const { return vectors * tilesN * tile.warpsN; }
  int64_t elementsOfRow() const { return vectors * width; }
  SortedRows touched() const { return {mostRows, in.idx, in.order, in.starts, in.count, rowsPerExpert}; }
  /// The blocks of all launches, an index of the host that is a size, too.
  mlir::Value mostBlocks(LoopBuilder &host) const { return host.mul(blocksOfVector, host.index(vectors)); }
  mlir::Value blocks(LoopBuilder &host) const { return mostBlocks(host); }

  /// As RowPass::launch, but that a use's `slice` is of one row for each thread, has neither places nor gradients, and does not bring lanes
  /// together. One launch for each vector, in which `block` goes on from the last one.
  void launch(LoopBuilder &host, llvm::function_ref<RowUse(BlockBuilder &, mlir::Value block)> begin,
              llvm::function_ref<void(BlockBuilder &, mlir::Value block)> end = nullptr) const;
  /// squares[number of the touched row, slice] = the sum of what `begin` (each block does it once) returned makes of the slice's elements.
  using Square = std::function<mlir::Value(BlockBuilder &, mlir::Value)>;
  void launchSquares(LoopBuilder &host, llvm::function_ref<Square(BlockBuilder &)> begin, mlir::Value squares) const;

private:
  struct Operands {
    mlir::Value idx, order, starts, count, coef, x, dy;
  };
  struct Tile;
  PoolProducts(LoopBuilder &host, mlir::Operation *op, Operands operands, mlir::ValueRange tables, const GpuInfo &gpu);
  /// `begin` returns what each tile of vector f is for.
  void launchTiles(LoopBuilder &host, int64_t f,
                   llvm::function_ref<std::function<void(Tile &)>(BlockBuilder &, mlir::Value block)> begin,
                   llvm::function_ref<void(BlockBuilder &, mlir::Value block)> end) const;

  Operands in;
  MatmulTile tile;
  int64_t perToken, rowsPerExpert, vectors, width, lanes; // lanes: elements of an access
  int64_t tilesM, tilesN;                                 // of an expert
  mlir::Value pairs, mostRows, blocksOfVector;            // index; at most: touched rows
  HostForm form;
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_POOL_POOLPRODUCTS_H
