//===- Rows.h - dot products and sums of rows in registers ---------------===//

#ifndef PEER_LOWERING_CPU_ROWS_H
#define PEER_LOWERING_CPU_ROWS_H

#include "lowering/emit/RoutingBuilder.h"

namespace peer::cpu {

/// `lanes` elements of a row, from `at` on.
struct Strip {
  mlir::Value at;
  int64_t lanes;
};

/// The most elements whose sums are kept in registers on a CPU with `width` lanes.
int64_t blockElements(int64_t width);
/// Cuts a row of `size` elements into blocks whose sums fit in the registers of a CPU with `width` lanes: one loop over the
/// full blocks, then the rest. Strips narrower than a vector come last.
void forEachBlock(LoopBuilder &b, int64_t size, int64_t width, llvm::function_ref<void(llvm::ArrayRef<Strip>)> body);

/// A vector of a row, at a strip.
using RowLoad = llvm::function_ref<mlir::Value(const Strip &)>;
/// init + sum over i in [low, high) of what `step` adds at i, as scale * row, for the strips of one block.
Values
sumRows(LoopBuilder &b, mlir::Value low, mlir::Value high, llvm::ArrayRef<Strip> strips, mlir::ValueRange init,
        llvm::function_ref<void(mlir::Value i, llvm::function_ref<void(mlir::Value scale, RowLoad row)> add)> step);
/// One zero per strip.
Values zeros(LoopBuilder &b, llvm::ArrayRef<Strip> strips);

/// `count` dot products over [0, size) in one pass, each with several accumulators. `terms` loads the factors of all of
/// them at a strip; `ahead` is called once per block of elements, for prefetching.
Values dots(LoopBuilder &b, int64_t size, int64_t width, unsigned count,
            llvm::function_ref<llvm::SmallVector<std::pair<mlir::Value, mlir::Value>>(const Strip &)> terms,
            llvm::function_ref<void(mlir::Value at, int64_t elements)> ahead);

/// Bytes of an element, and elements of a line of the caches.
int64_t elementBytes(mlir::Value buffer);
int64_t elementsOfLine(mlir::Value buffer);
/// Prefetches elements [at, at + elements) of a vector of a table, whose place the other dimensions say.
void prefetchVector(LoopBuilder &b, mlir::Value table, mlir::ValueRange vector, mlir::Value at, int64_t elements);

/// Sets all elements to zero, a row of the last dimension at a time.
void fillZero(LoopBuilder &b, mlir::Value buffer, int64_t width);

/// result[] = the sum of partial[0 .. count), in order and in f64: the same on every run, and exact enough for many.
void emitOrderedSum(LoopBuilder &b, mlir::Value partial, mlir::Value count, mlir::Value result);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_ROWS_H
