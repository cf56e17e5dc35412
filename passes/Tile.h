//===- Tile.h - tile sizes, as --peer-tile takes them --------------------===//

#ifndef PEER_PASSES_TILE_H
#define PEER_PASSES_TILE_H

#include "mlir/IR/Operation.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/StringMap.h"

#include <functional>
#include <optional>

namespace peer {

namespace attrs {
/// On the mark of a kernel that `--peer-tile` has cut: the sizes it chose, by loop.
constexpr llvm::StringLiteral kTiles = "peer.tiles";
} // namespace attrs

/// Tile sizes by loop: the letters of a graph op's index notation, `d0`, `d1`, ... of a linalg op. A loop without a size
/// is not tiled.
struct TileSizes : llvm::StringMap<int64_t> {
  /// The loop whose tiles change least often: what it alone walks stays in a cache for all tiles of the others. Empty: loops are in the op's order.
  std::string outermost;
};

/// A target's answer to how an op is tiled; none where its emitter makes its own loops.
using TileSizeModel = std::function<std::optional<TileSizes>(mlir::Operation *)>;

/// Name under which an op's kernel is reported: the kernel name of a graph op, `elementwise` for an elementwise
/// linalg.generic, else the op's name without its dialect.
llvm::StringRef getKernelNameOf(mlir::Operation *op);

/// A model from text, sizes by kernel name: `score:t=64,h=1;mix:t=32`. Malformed text is reported through `emitError`.
mlir::FailureOr<TileSizeModel> parseTileSizeModel(llvm::StringRef text,
                                                  llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// `--peer-tile` with the sizes of a target.
std::unique_ptr<mlir::Pass> createTilePass(TileSizeModel model);

} // namespace peer

#endif // PEER_PASSES_TILE_H
