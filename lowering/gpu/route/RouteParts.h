//===- RouteParts.h - the keys of a tile, spread over blocks -------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROUTEPARTS_H
#define PEER_LOWERING_GPU_ROUTE_ROUTEPARTS_H

#include "Route.h"

#include "mlir/IR/IRMapping.h"

namespace peer::device {

/// A tile of tokens and a head that is scored and selected from. Where there are few tiles, several blocks share the keys of
/// each: they select from their parts, and a second launch merges what they selected.
class RouteParts {
public:
  /// The routing that is all there is in the body of a loop over tiles, if its keys can be shared.
  static std::optional<RouteParts> of(mlir::Block &tile);

  /// Copies the body for the tile of this number (index) into a launch, allocations included.
  using CloneTile = llvm::function_ref<void(BlockBuilder &b, mlir::Value tile, mlir::IRMapping &mapping)>;
  /// Launches what routes `tiles` (index) tiles, fewer than gpuRouteRegimes().blockPerTile.
  void launch(LoopBuilder &host, mlir::Value tiles, CloneTile cloneTile) const;

private:
  /// How a tile's keys are cut (index): parts in all and of each half, keys of a part.
  struct Cut {
    mlir::Value parts, perHalf, keys;
  };
  /// Lists of all blocks of the first launch: blocks x tokens x entries, scores (f32) and numbers of keys (i32).
  struct Lists {
    mlir::Value scores, numbers;
  };
  Cut emitCut(LoopBuilder &host, mlir::Value tiles) const;
  static void emitPart(BlockBuilder &b, const Route &route, mlir::Value block, const Cut &cut, const Lists &lists);
  static void emitMerge(BlockBuilder &b, const Route &route, mlir::Value firstRow, mlir::Value firstBlock,
                        const Cut &cut, const Lists &lists);
  template <typename Body>
  void emitTile(BlockBuilder &b, mlir::Value tile, CloneTile cloneTile, Body body) const;

  Route route;
  int64_t tokens; // of a tile, at most
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROUTEPARTS_H
