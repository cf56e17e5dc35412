//===- PoolRows.h - the rows of a pool's sparse gradient -----------------===//
//
// A segment of the sorted pairs is one expert. A warp sums part of a row's gradient in registers and uses it at once, so rows are
// read and written once. The width of a row is cut into slices, and all segments of a slice come before those of the
// next: what is gathered from x and dy, one slice of every token, stays in L2 where whole rows would not.
//
// Segments with very many pairs would keep a warp busy when all others have finished. The sorted pairs are cut into chunks;
// of a segment longer than a chunk, each chunk's share is summed by an own warp beforehand, and the shares are added in order.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_POOL_POOLROWS_H
#define PEER_LOWERING_GPU_POOL_POOLROWS_H

#include "lowering/gpu/GpuInfo.h"
#include "lowering/gpu/block/Scan.h"

#include "lowering/emit/RoutingBuilder.h"

#include <functional>

namespace peer::device {

/// Elements of a vector of a pool row, one access of each lane.
struct RowPlace {
  mlir::Value row, vector, at; // index
  int64_t lanes;
  mlir::Value inside; // i1: what is outside may be loaded (of the same row), not stored; null: all inside
};

/// `body` where `inside` holds, or everywhere if it is null.
void ifInside(BlockBuilder &b, mlir::Value inside, llvm::function_ref<void()> body);

/// A slice of a touched row, whose gradients a warp has.
struct RowSlice {
  mlir::Value row, number, slice; // index: the row of the pool, its number among the touched ones, the slice
  llvm::ArrayRef<RowPlace> places;
  mlir::ValueRange gradients; // one for each place
};

/// What a kernel does with gradients; every thread for itself.
struct RowUse {
  /// What to load before the gradient is there.
  std::function<Values(BlockBuilder &, const RowPlace &)> prepare;
  /// `ofSlice` is what `slice` returned.
  std::function<void(BlockBuilder &, const RowPlace &, mlir::ValueRange prepared, mlir::Value gradient,
                     mlir::ValueRange ofSlice)>
      use;
  /// What comes before the places of a slice, all lanes of the warp together; may be null, and so may `use` where it is not.
  std::function<Values(BlockBuilder &, const RowSlice &)> slice = nullptr;
};

/// The rows that pairs touch, by the operands of a row-sparse gradient: `idx` is flat, `most` so many at most.
struct SortedRows {
  mlir::Value most, idx, order, starts, count;
  int64_t perExpert;
};
/// `body` for each of them, a thread each: its number among them and the row of the pool.
void launchForTouchedRows(LoopBuilder &host, const SortedRows &rows,
                          llvm::function_ref<void(BlockBuilder &, mlir::Value number, mlir::Value row)> body);

/// The launches of a pass over all touched rows.
class RowPass {
public:
  /// `tables`: what `use` accesses at the places it is given. `experts`: how many there are, 0 where that is unknown.
  template <typename OpTy>
  RowPass(LoopBuilder &host, OpTy op, mlir::ValueRange tables, int64_t experts, const GpuInfo &gpu)
      : RowPass(host, {op.getIdx(), op.getOrder(), op.getStarts(), op.getCount(), op.getCoef(), op.getX(), op.getDy()},
                tables, experts, gpu) {}

  /// Null, or why the operands are not taken.
  template <typename OpTy>
  static const char *reject(OpTy op) {
    bool dense = isDense(op.getIdx(), 0) && isDense(op.getCoef(), 0) && isDense(op.getX(), 0) && isDense(op.getDy(), 0);
    return dense ? nullptr : "an operand of the row-sparse gradient does not flatten";
  }

  /// How many slices and elements a row has.
  int64_t slicesOfRow() const { return slices; }
  int64_t elementsOfRow() const { return vectors * width; }
  SortedRows touched() const { return {mostRows, in.idx, in.order, in.starts, in.count, rowsPerExpert}; }

  /// The blocks of `launch`, an index of the host, and what they are at most: a size that can be allocated.
  mlir::Value blocks(LoopBuilder &host) const;
  mlir::Value mostBlocks(LoopBuilder &host) const;

  /// `begin` emits what a block does first and returns what is done with the rows; `end` (may be null) what it does last.
  void launch(LoopBuilder &host, llvm::function_ref<RowUse(BlockBuilder &, mlir::Value block)> begin,
              llvm::function_ref<void(BlockBuilder &, mlir::Value block)> end = nullptr) const;

private:
  struct Operands {
    mlir::Value idx, order, starts, count, coef, x, dy;
  };
  /// The warp's part of a row: its accesses, for all vectors alike.
  struct Part {
    Values at, inside;
  };
  RowPass(LoopBuilder &host, Operands operands, mlir::ValueRange tables, int64_t experts, const GpuInfo &gpu);

  void noteRegisters(BlockBuilder &b, int64_t registers) const;

  Part emitPart(BlockBuilder &b, mlir::Value slice) const;
  Values load(BlockBuilder &b, mlir::Value source, mlir::Value token, const Part &part) const;
  Values addPair(BlockBuilder &b, mlir::ValueRange sums, mlir::ValueRange coefs, mlir::Value token,
                 const Part &part) const;
  Values addPairs(BlockBuilder &b, mlir::ValueRange sums, mlir::Value low, mlir::Value high, mlir::Value j,
                  const Part &part, int64_t atOnce) const;
  Values emitCoefs(BlockBuilder &b, mlir::Value pair, mlir::Value j) const;
  mlir::Value emitToken(BlockBuilder &b, mlir::Value pair) const;
  mlir::Value emitEnd(BlockBuilder &b, mlir::Value segment, mlir::Value segments, mlir::Value pairs) const;
  mlir::Value findSegment(BlockBuilder &b, mlir::Value entry, mlir::Value segments) const;
  Values emitShares(BlockBuilder &b, mlir::Value low, mlir::Value high, mlir::Value j, const Part &part,
                    mlir::Value shares) const;
  void emitShare(BlockBuilder &b, mlir::Value unit, mlir::Value shares) const;
  void launchShares(LoopBuilder &host, mlir::Value shares) const;
  void emitRows(BlockBuilder &b, mlir::Value unit, mlir::Value shares, const RowUse &use) const;

  Operands in;
  GpuInfo gpu;
  int64_t perToken, rowsPerExpert, vectors, width; // per token: pairs
  int64_t unroll;                                  // pairs that a row loads for at once
  int64_t rowRegisters, shareRegisters;            // that a thread takes at most, about: of rows, of shares of segments
  bool whole;                                      // every access is inside of the row
  int64_t lanes, accesses, slices;     // elements of an access, accesses of a warp per vector, slices of a row
  int64_t mostChunks;                  // 1: no segment is cut
  mlir::Value allPairs, chunk, chunks; // index: pairs, pairs of a chunk, chunks
  mlir::Value mostRows, batch;         // index: touched rows at most, rows of a warp
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_POOL_POOLROWS_H
