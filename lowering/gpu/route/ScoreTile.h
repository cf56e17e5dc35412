//===- ScoreTile.h - scores of a tile of tokens, on the tensor cores -----===//
//
// A block holds the queries of its tokens, one head and half of them, in shared memory and walks the keys in chunks. The
// products are exact to f32: bf16 by bf16 as they are, f32 queries in three bf16 parts where the keys are bf16 (24 bits in
// all), and three tf32 products where both are f32 (see mmaSplit). An infinite or huge (beyond 3.38e38) f32 makes scores
// that are not numbers, as its parts are infinities of different signs.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_SCORETILE_H
#define PEER_LOWERING_GPU_ROUTE_SCORETILE_H

#include "lowering/gpu/block/Mma.h"
#include "lowering/gpu/block/SharedPlan.h"

namespace peer::device {

/// Keys that a block looks at at a time.
inline constexpr int64_t kKeyChunk = 64;

/// The sizes of a tile; `rows` is 16, 32 or 64.
struct ScoreShape {
  int64_t rows, n, d;
  bool bf16Query, bf16Keys;

  static ScoreShape of(mlir::Value query, mlir::Value keys, int64_t rows);
  /// Shared memory of the queries, and of the keys and scores, which are not needed at the same time.
  int64_t queryBytes() const;
  int64_t workBytes() const;
  int64_t bytes() const { return queryBytes() + workBytes(); }

  /// Elements of a slab: the columns of the keys that are in shared memory at a time, 128 bytes of each key.
  int64_t slabColumns() const { return bf16Keys ? 64 : 32; }
  int64_t slabs() const { return llvm::divideCeil(d, slabColumns()); }
  /// 32-bit words from query to query: different rows of a fragment lie in different banks.
  int64_t queryStride() const;
  bool packedQuery() const { return bf16Query && bf16Keys; }
};

class ScoreTile {
public:
  ScoreTile(BlockBuilder &b, mlir::Value query, mlir::Value keys, int64_t rows, SharedPlan &shared);

  /// Puts queries of tokens `first` .. `first + rows - 1`, zeros behind the last token, into shared memory. The next barrier
  /// makes them visible.
  void loadQueries(mlir::Value first, mlir::Value head, mlir::Value half);
  /// Scores of keys `first` .. `first + kKeyChunk - 1`; those of tokens and keys that are not there are unspecified. Contains
  /// barriers, the last behind it: then score() is valid until the next barrier.
  void multiply(mlir::Value head, mlir::Value half, mlir::Value first);
  /// The score of a row (token) and a column (key) of the chunk, by whoever asks.
  mlir::Value score(mlir::Value row, mlir::Value column) const;

private:
  void copySlab(mlir::Value head, mlir::Value half, mlir::Value first, mlir::Value slab);
  llvm::SmallVector<FragmentC> multiplyTiles(mlir::Value slab, mlir::Value word);
  llvm::SmallVector<mlir::Value> multiplySlab(mlir::Value slab, mlir::ValueRange sums);
  void storeScores(llvm::ArrayRef<FragmentC> sums);
  llvm::SmallVector<FragmentA> queryParts(mlir::Value slab, int64_t step);
  mlir::Value keyWord(mlir::Value slab) const;
  int64_t columnTiles() const { return kKeyChunk / 8 / (b.warps() / (shape.rows / 16)); }

  BlockBuilder &b;
  ScoreShape shape;
  mlir::Value query, keys;
  SharedWords queries, work;
  mlir::Value warpRow, warpColumn; // of the warp's part of the tile, in elements
  MmaLane lane;
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_SCORETILE_H
