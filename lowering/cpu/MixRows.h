//===- MixRows.h - the pool rows of a token, in chunks -------------------===//

#ifndef PEER_LOWERING_CPU_MIXROWS_H
#define PEER_LOWERING_CPU_MIXROWS_H

#include "Rows.h"

namespace peer::cpu {

/// The rows that a token's pairs select, numbered flat: number s is row s mod r of pair s / r. Chunks of them whose scratch fits
/// on the stack are listed (nearly always there is one chunk), and those listed are worked on in groups: while dots are taken of a
/// row's first vectors, the same part of a row that comes `ahead` places later is fetched, be it of the next token, and while vectors
/// are added up the last vector of one. So memory has the same work all the time.
class MixRows {
public:
  /// `dotsOfAll`: whether dots are taken of the last vectors, too, which are fetched for the next group then.
  MixRows(LoopBuilder &b, mlir::Value idx, const StoredTable &pool, int64_t rowsPerExpert, int64_t width,
          bool dotsOfAll);

  int64_t total() const { return pairs * rowsPerExpert; }
  bool isOneChunk() const { return total() <= chunk; }
  /// Scratch of one f32 or index per row of a chunk, padded to whole vectors. Ask for it outside the token loop.
  mlir::Value scratch(LoopBuilder &b) const { return b.stack({padded}, b.getF32Type()); }
  mlir::Value indexScratch(LoopBuilder &b) const { return b.stack({padded}, b.getIndexType()); }

  /// Lists the rows of a token that are selected, chunk by chunk, with note(its place in the list, its number, its pair) for each
  /// place; that of a row which is not selected is written again. Then body(how many there are).
  void forEachChunk(LoopBuilder &b, mlir::Value token,
                    llvm::function_ref<void(mlir::Value place, mlir::Value number, mlir::Value pair)> note,
                    llvm::function_ref<void(mlir::Value listed)> body) const;
  /// For each group of places in the list: body(first, end). The first is a multiple of the width.
  void forEachGroup(LoopBuilder &b, mlir::Value listed,
                    llvm::function_ref<void(mlir::Value first, mlir::Value end)> body) const;
  /// The pair of a number.
  mlir::Value pairOf(LoopBuilder &b, mlir::Value number) const;
  /// The pool row at a place in the list.
  mlir::Value rowAt(LoopBuilder &b, mlir::Value place) const { return b.load(numbers, {place}); }

  /// Dot products of the first `count` vectors of the row at a place with other vectors: factors(f) is the rank-1 buffer that vector
  /// f meets. Fetches the first `fetched` vectors of a later row.
  Values dotsOf(LoopBuilder &b, mlir::Value place, unsigned count, unsigned fetched,
                llvm::function_ref<mlir::Value(unsigned f)> factors) const;
  /// sums += what add() is given for the places [first, end) of a group, in registers; `sums` is a rank-1 buffer. Fetches the last
  /// vector of later rows.
  void
  addUp(LoopBuilder &b, mlir::Value first, mlir::Value end, mlir::Value sums,
        llvm::function_ref<void(mlir::Value place, llvm::function_ref<void(mlir::Value scale, unsigned vector)> add)>
            step) const;
  /// Fetches the scales of rows that come later, if they have some.
  void fetchScales(LoopBuilder &b, mlir::Value first, mlir::Value end) const;

private:
  /// The row of a number of some token, and whether anything is selected there.
  struct Row {
    mlir::Value row, pair, valid;
  };
  Row rowOf(LoopBuilder &b, mlir::Value token, mlir::Value number) const;
  /// Lists what comes after a chunk that ends before `end`: the next one's first rows, or those of the next token.
  void listLater(LoopBuilder &b, mlir::Value token, mlir::Value end, mlir::Value listed) const;
  mlir::Value laterRow(LoopBuilder &b, mlir::Value place, mlir::Value ahead) const;
  int64_t bytesOf(int64_t elements) const { return pool.packed ? elements / 2 : elements * elementBytes(pool.table); }
  void fetch(LoopBuilder &b, mlir::Value row, int64_t vector, mlir::Value at, int64_t elements) const;

  mlir::Value idx;
  StoredTable pool;
  int64_t pairs, rowsPerExpert, width, chunk, group, ahead, beyond, padded;
  bool dotsOfAll;
  mlir::Value numbers;
};

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_MIXROWS_H
