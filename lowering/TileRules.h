//===- TileRules.h - what the tile models of all targets share -----------===//

#ifndef PEER_LOWERING_TILERULES_H
#define PEER_LOWERING_TILERULES_H

#include "passes/Tile.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace peer {

/// Below this many elements a loop over tiles costs more than it gains.
inline constexpr int64_t kSmallTensor = 8192;

/// What a target says of tiles; which ops are worth any is the same for all.
struct TileRules {
  /// Sizes by loop of an op of our dialect; none: it is left whole.
  std::optional<TileSizes> (*graphOp)(mlir::Operation *op);
  /// Steps of the outermost loop of an elementwise op in a tile.
  int64_t (*elementwise)(mlir::linalg::LinalgOp op);
};

/// Small ops but routes are left whole, and loops that a single tile covers are dropped.
TileSizeModel createTileSizeModel(TileRules rules);

/// The sizes of these loops.
TileSizes tile(std::initializer_list<std::pair<llvm::StringRef, int64_t>> loops);

} // namespace peer

#endif // PEER_LOWERING_TILERULES_H
