//===- CoarseScores.h - integer scores and how far they may be off -------===//

#ifndef PEER_LOWERING_CPU_COARSESCORES_H
#define PEER_LOWERING_CPU_COARSESCORES_H

#include "PackedKeys.h"
#include "lowering/emit/Emitters.h"
#include "tiles/TileScores.h"

namespace peer::cpu {

/// Keys of `d` elements in integers of 8 bits, queries in integers of up to 15, or both in `Quads`, their products, and upper bounds of the
/// scores that follow.
///
/// A vector x is s * x' + rest, so that |q . c - s t q'. c'| <= |q - s q'| |c| + |s q'| |c - t c'| by Cauchy and Schwarz.
/// A part of |q| |c| covers what rounding does to `emitScore`, to the bound, and to products with an s that is no power of two, a constant
/// what underflow does.
class CoarseScores {
public:
  /// Allocates what one call of the op needs. Outside of its loops.
  /// Keys that nobody has packed are if there are `many` tokens. `enough`, null where the CPU has no tiles, says whether
  /// they pay for keys that nobody has packed; for others they do if there are many.
  CoarseScores(LoopBuilder &b, int64_t n, int64_t d, int64_t k, const VectorOptions &options, mlir::Value many,
               mlir::Value enough);
  void free();

  /// Tokens of a block.
  int64_t tokens() const { return tiles ? TileScores::kTokens : together(); }

  /// What is known of tokens' other halves: whether that is so, and the sorted list of each token, `listLanes` scores of which k are meant.
  /// Whoever has it selects for the best pairs alone: a list of theirs has what may be part of those, and lacks the rest.
  struct OtherHalf {
    mlir::Value isKnown; // null: there is none
    llvm::function_ref<mlir::Value(mlir::Value t)> list;
  };

  /// Whether lists of the other half are of use: there are groups of keys enough.
  bool usesOtherHalf() const { return chains * width >= groupsOfPairs(); }

  /// Whose scores follow: keys, `n x d`, and, unless null, a row of packed ones that may be there.
  void setKeys(mlir::Value matrix, mlir::Value given);
  /// Upper bounds of all scores of the first `count` tokens of a block, `tokens()` at most, if there are packed keys; `hasKeys` says so.
  void emitTokens(mlir::Value count, llvm::function_ref<mlir::Value(mlir::Value t)> query, const OtherHalf &other);
  mlir::Value hasKeys() const { return has; }

  /// Whether the bounds of the block's t-th token hold: all elements of its query and of the keys are numbers, and not huge, as are the
  /// scores of its other half's list.
  mlir::Value emitHolds(mlir::Value t);
  /// Its k best, by bounds; `scores` computes those of some keys.
  Values emitSelection(mlir::Value t, llvm::function_ref<Values(mlir::ValueRange js)> scores);
  /// A row of n scores, for those of whom no bounds hold.
  mlir::Value scoreRow(mlir::Value t);

private:
  mlir::Value lowest();
  /// Tokens whose sums are in registers of vectors at once.
  int64_t together() const;
  /// Groups whose maxima are sorted.
  int64_t groupsOfPairs() const { return std::max(listLanes(k, width), width); }
  /// The same of `count` tokens, from `first` on: as many as go together, or in tiles all of a block.
  void emitSome(mlir::Value first, mlir::Value count, llvm::function_ref<mlir::Value(mlir::Value t)> query,
                const OtherHalf &other);
  void emitTiles(mlir::Value count, llvm::function_ref<mlir::Value(mlir::Value t)> query, const OtherHalf &other);
  /// Packs a query, rank 1, as the block's t-th.
  void emitQuery(mlir::Value query, mlir::Value t);
  /// Bounds of some tokens and all keys, or `blocks` blocks of them.
  void emitProducts(llvm::ArrayRef<mlir::Value> block);
  /// `emitMax` of what is in memory, to be stored there.
  mlir::Value emitLarger(mlir::Value x, mlir::Value best);
  void emitBlocks(mlir::Value first, int64_t blocks, llvm::ArrayRef<mlir::Value> block);
  /// Lower bounds of the scores that some of the block's tokens may select, less what underflow does: of the k-th, or of what the k best
  /// pairs with the other half have.
  void emitLeast(llvm::ArrayRef<mlir::Value> ts, const OtherHalf &other);
  void emitLeastOfScores(llvm::ArrayRef<mlir::Value> ts);
  void emitLeastOfPairs(llvm::ArrayRef<mlir::Value> ts, const OtherHalf &other);
  /// The sums of some tokens' products, `vectors` vectors of keys from a block on for each.
  Values emitSums(mlir::Value first, int64_t vectors, llvm::ArrayRef<mlir::Value> block);

  LoopBuilder &b;
  int64_t n, d, k, width;
  /// Bits of a query's integers beside their sign: no sum of products overflows.
  int64_t bits;
  int64_t chains; // vectors of maxima
  PackedKeys packed;
  std::optional<TileScores> tiles;
  mlir::Value many, enough;
  mlir::Value tiled, byTiles;                   // whether registers are tiles, and whether products are
  mlir::Value row, has;                         // the keys, and whether there are some
  mlir::Value queries, queryBounds, queriesFit; // of a block of tokens
  mlir::Value starts;                           // of their sums
  mlir::Value bounds, maxima, leasts, survivors, values, ranks, bestScores, bestIndices;
};

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_COARSESCORES_H
