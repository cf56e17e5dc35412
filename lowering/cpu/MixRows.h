//===- MixRows.h - the pool rows of a token, in chunks -------------------===//

#ifndef PEER_LOWERING_CPU_MIXROWS_H
#define PEER_LOWERING_CPU_MIXROWS_H

#include "Rows.h"

namespace peer::cpu {

/// The rows that a token's pairs select, numbered flat: number s is row s mod r of pair s / r. They are worked on in chunks
/// whose scratch fits on the stack; nearly always there is one chunk.
class MixRows {
public:
  MixRows(LoopBuilder &b, mlir::Value idx, const StoredTable &pool, int64_t rowsPerExpert, int64_t width);

  int64_t total() const { return pairs * rowsPerExpert; }
  bool isOneChunk() const { return total() <= chunk; }
  /// Scratch of one f32 or index per row of a chunk, padded to whole vectors. Ask for it outside the token loop.
  mlir::Value scratch(LoopBuilder &b) const { return b.stack({padded}, b.getF32Type()); }
  mlir::Value indexScratch(LoopBuilder &b) const { return b.stack({padded}, b.getIndexType()); }

  /// For each chunk: body(first number, rows in it).
  void forEachChunk(LoopBuilder &b, llvm::function_ref<void(mlir::Value first, mlir::Value count)> body) const;
  /// The pair of a number.
  mlir::Value pairOf(LoopBuilder &b, mlir::Value number) const;
  /// Pool row and pair of a number, and whether anything is selected there.
  struct Row {
    mlir::Value row, pair, valid;
  };
  Row rowOf(LoopBuilder &b, mlir::Value idxOfToken, mlir::Value number) const;

  /// Dot products of a row's vectors with other vectors: factors(f) is the rank-1 buffer that vector f meets. Prefetches
  /// the row that is read a few steps later.
  Values dotsOf(LoopBuilder &b, mlir::Value row, mlir::Value later, unsigned count, unsigned firstVector,
                llvm::function_ref<mlir::Value(unsigned f)> factors) const;
  /// The position, a few steps after i, of a row to prefetch: at most the last of `count`.
  mlir::Value laterThan(LoopBuilder &b, mlir::Value i, mlir::Value count) const;

private:
  StoredTable pool;
  int64_t pairs, rowsPerExpert, width, chunk, padded;
};

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_MIXROWS_H
