//===- CoarseScores.h - integer scores and how far they may be off -------===//

#ifndef PEER_LOWERING_CPU_COARSESCORES_H
#define PEER_LOWERING_CPU_COARSESCORES_H

#include "RowTopK.h"

namespace peer::cpu {

/// Keys and queries of `d` elements in integers of 16 bits, their products, and upper bounds of the scores that follow.
///
/// A vector x is s * x' + rest, s a power of two, so that |q . c - s t q'. c'| <= |q - s q'| |c| + |s q'| |c - t c'| by Cauchy and Schwarz.
/// A part of |q| |c| covers what rounding does to `emitScore` and to the bound, a constant what underflow does.
class CoarseScores {
public:
  /// Allocates what one call of the op needs. Outside of its loops.
  CoarseScores(LoopBuilder &b, int64_t n, int64_t d, int64_t k, int64_t width);
  void free();

  /// Tokens whose products are formed at once.
  int64_t tokens() const;

  /// Packs the keys, `n x d`.
  void emitKeys(mlir::Value keys);
  /// Packs a query, rank 1, as the block's t-th. Keys come first.
  void emitQuery(mlir::Value query, mlir::Value t);
  /// Upper bounds of the scores of all of the block's tokens.
  void emitProducts();

  /// Whether the bounds of the block's t-th token hold: all elements of its query and of the keys are numbers, and not huge.
  mlir::Value emitHolds(mlir::Value t);
  /// Its k best, by bounds; `score` computes one.
  Values emitSelection(mlir::Value t, llvm::function_ref<mlir::Value(mlir::Value j)> score);
  /// A row of n scores, for those of whom no bounds hold.
  mlir::Value scoreRow(mlir::Value t);

private:
  struct Quantized {
    mlir::Value fits, scale, unit, norm, miss;
  };
  /// A vector as pairs of integers, `width` pairs at a time; norms in units of the integers.
  Quantized emitQuantized(mlir::Value vector, llvm::function_ref<void(mlir::Value at, mlir::Value pairs)> keep);
  mlir::Value integers(int64_t value);
  mlir::Value emitNorm(mlir::Value squares);
  /// A lower bound of the k-th score of the block's t-th token, less what underflow does.
  mlir::Value emitLeast(mlir::Value t);
  /// One vector per row of a square matrix to one per column.
  void emitTranspose(llvm::MutableArrayRef<mlir::Value> rows);
  /// sum + the products of pairs, 32 bits each.
  mlir::Value emitPairProducts(mlir::Value x, mlir::Value y, mlir::Value sum);

  /// Vectors of keys at once, beside tokens(): all sums stay in registers.
  static constexpr int64_t kVectors = 2;
  int64_t blockKeys() const { return kVectors * width; }
  int64_t paddedKeys() const { return llvm::alignTo(n, blockKeys()); }

  LoopBuilder &b;
  int64_t n, d, k, width;
  /// Pairs of a vector, and bits of an integer beside its sign: no sum of products overflows.
  int64_t pairs, bits;
  int64_t chains;                               // vectors of maxima
  mlir::Value packed, rows, keyBounds, keysFit; // of the keys
  mlir::Value queries, queryBounds, queriesFit; // of a block of tokens
  mlir::Value bounds, maxima;
};

/// q . k of two vectors of d elements, always in the same order: four sums of vectors, joined in pairs, whose halves are added until
/// one element is left. d is a multiple of the width. Several keys share the loads of the query.
Values emitScores(LoopBuilder &b, mlir::Value query, llvm::ArrayRef<mlir::Value> keys, int64_t d, int64_t width);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_COARSESCORES_H
