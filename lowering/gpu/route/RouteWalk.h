//===- RouteWalk.h - a block's walk over the keys of its tokens ----------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROUTEWALK_H
#define PEER_LOWERING_GPU_ROUTE_ROUTEWALK_H

#include "ScoreTile.h"
#include "Select.h"

namespace peer::device {

/// Takes keys of a head chunk by chunk: the tensor cores make the scores of the block's tokens with the chunk, groups of lanes
/// merge them into the sorted lists of the tokens. All methods are for the whole block.
class RouteWalk {
public:
  /// One slot of `lists` for each token of the tile, whose shared memory is reserved first.
  RouteWalk(BlockBuilder &b, ScoreTile &tile, RowLists &lists) : b(b), tile(tile), lists(lists) {}

  /// Spreads the first `present` rows over the block's groups of lanes, the same rows to the same group every time. `body` is
  /// for all lanes of a warp, some of which may have rows behind the last.
  void forRows(mlir::Value present, llvm::function_ref<void(mlir::Value row)> body);

  /// Keys `from` .. `to - 1` of a head and half (index); `from` is a multiple of kKeyChunk, `to` one or the last.
  struct Keys {
    mlir::Value head, half, from, to;
  };
  /// Makes the lists (of this number within their slots) of the tokens' best scores with these keys.
  void walk(mlir::Value first, mlir::Value present, const Keys &keys, mlir::Value list);

private:
  BlockBuilder &b;
  ScoreTile &tile;
  RowLists &lists;
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROUTEWALK_H
