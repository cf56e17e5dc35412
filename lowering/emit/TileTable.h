//===- TileTable.h - the tile sizes that emitters ask for ----------------===//

#ifndef PEER_LOWERING_EMIT_TILETABLE_H
#define PEER_LOWERING_EMIT_TILETABLE_H

#include "passes/Tile.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace peer {

/// Below this many elements a loop over tiles costs more than it gains.
inline constexpr int64_t kSmallTensor = 8192;

/// The sizes of these loops.
std::optional<TileSizes> tile(std::initializer_list<std::pair<llvm::StringRef, int64_t>> loops);

/// A target's tile sizes: filled by its emitters, asked by --peer-tile.
class TileTable {
public:
  using Sizes = std::function<std::optional<TileSizes>(mlir::Operation *)>;

  /// Sizes by loop of an op of our dialect, of which there is no other entry; none: the op is left whole.
  void add(llvm::StringRef op, Sizes sizes);
  /// Steps of the outermost loop of an elementwise op in a tile.
  void setElementwise(int64_t (*rows)(mlir::linalg::LinalgOp op)) { elementwiseRows = rows; }

  /// Ops without an entry are left whole, and loops that a single tile covers are dropped.
  TileSizeModel model() const;

private:
  std::optional<TileSizes> sizesOf(mlir::Operation *op) const;

  llvm::StringMap<Sizes> entries;
  int64_t (*elementwiseRows)(mlir::linalg::LinalgOp op) = nullptr;
};

} // namespace peer

#endif // PEER_LOWERING_EMIT_TILETABLE_H
