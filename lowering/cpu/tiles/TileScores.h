//===- TileScores.h - scores as products of tiles of bf16 ----------------===//

#ifndef PEER_LOWERING_CPU_TILES_TILESCORES_H
#define PEER_LOWERING_CPU_TILES_TILESCORES_H

#include "lowering/emit/RoutingBuilder.h"

namespace peer::cpu {

/// Products of 32 queries and all keys, n x d, in registers of 16 x 16 f32, of elements that are rounded to bf16.
///
/// A vector x is x' + rest, |q . c - q' . c'| <= |q - q'| |c| + |q'| |c - c'|. Of all keys the largest |c - c'| / |c| is kept, so that how far a
/// score may be off is a number of the query times the norm of the key. As in `CoarseScores`, a part of |q| |c| covers rounding, those
/// of products in tiles, too, which are sums of f32 in an order of their own, and a constant covers underflow.
class TileScores {
public:
  /// Queries and keys of a block, and lanes of vectors.
  static constexpr int64_t kTokens = 32, kKeys = 32, kWidth = 16;

  /// Allocates what one call of the op needs. Outside of its loops.
  TileScores(LoopBuilder &b, int64_t n, int64_t d);
  void free();

  /// Whether the process may use tiles.
  static mlir::Value emitIsAllowed(LoopBuilder &b);
  /// Makes tiles of a thread's registers, and gives them back.
  void emitBegin();
  void emitEnd();

  int64_t paddedKeys() const { return llvm::alignTo(n, kKeys); }

  /// Packs keys, `n x d`, into a row of `pack_keys`.
  void emitKeys(mlir::Value keys, mlir::Value row);
  /// Whether that has been done.
  mlir::Value emitIsMade(mlir::Value row);
  /// Whose keys products and bounds are of from here on.
  void setKeys(mlir::Value row);
  /// How far scores may be off, in norms of keys; false where it is not known: there are elements that are no numbers, or huge ones.
  struct QueryBound {
    mlir::Value holds, perNorm;
  };
  /// Packs a query, rank 1, as the block's t-th.
  QueryBound emitQuery(mlir::Value query, mlir::Value t);
  /// What scores and bounds may lose by underflow.
  double slack() const { return std::ldexp(double(d), -123) + std::ldexp(1.0, -118); }
  /// The scores of a block of queries and each block of keys, `kTokens x kKeys`, while they are in L1. `filter` is emitted twice.
  void emitProducts(llvm::function_ref<void(mlir::Value block, mlir::Value scores)> filter);
  /// Norms of keys from the j-th on, upper bounds. What fills the last block has no number.
  mlir::Value loadNorms(mlir::Value j);

private:
  /// Upper bounds of |x| and |x - x'|.
  struct Norms {
    mlir::Value norm, miss;
  };
  /// Pairs of bf16 of a vector of d elements: those of elements at .. at + 16 in the low halves, of the next 16 in the high ones.
  Norms emitRounded(mlir::Value vector, llvm::function_ref<void(mlir::Value at, mlir::Value pairs)> keep);
  mlir::Value emitBound(mlir::Value squares);
  /// An instruction on tiles, whose numbers come first.
  void emitTile(llvm::StringRef name, llvm::ArrayRef<int> tiles, mlir::ValueRange operands = {});
  void emitBlock(mlir::Value block, mlir::Value scores);
  static mlir::Value emitAddress(LoopBuilder &b, mlir::Value buffer);
  mlir::Value pointer(mlir::Value address, mlir::Value byte);
  mlir::Value normsAt(mlir::Value j);
  mlir::Value tilesAt(mlir::Value tile);

  LoopBuilder &b;
  int64_t n, d, steps; // each step multiplies 32 elements
  mlir::Value config, queries, square, keyNorms, misses, scores;
  mlir::Value row, keyAddress, ratio, fits; // of `setKeys`
};

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_TILES_TILESCORES_H
