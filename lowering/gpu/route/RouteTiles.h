//===- RouteTiles.h - how a route is divided among blocks ----------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROUTETILES_H
#define PEER_LOWERING_GPU_ROUTE_ROUTETILES_H

#include "Select.h"
#include "lowering/gpu/GpuInfo.h"

namespace peer::device {

/// How score and select are spread, by the number of tiles (tokens and a head each).
struct RouteRegimes {
  explicit RouteRegimes(const GpuInfo &gpu);

  /// From so many tiles on they fill a GPU with a block each; below, several share a tile's keys.
  int64_t blockPerTile;
  /// But no fewer each.
  int64_t keysPerBlock = 64;
};

/// Tokens that a block routes at once: 64, 32 or 16, as its shared memory allows, and fewer where multiprocessors would be
/// left without a block; 0: none.
int64_t routeRows(RouteOp op, const GpuInfo &gpu);

/// The tiles of a route: routeRows() tokens and a head each, the heads of the same tokens one after the other.
class RouteTiles {
public:
  RouteTiles(RouteOp op, const GpuInfo &gpu);

  const RouteRegimes &regimes() const { return byTiles; }

  /// On the host (index).
  mlir::Value count(LoopBuilder &host) const;
  /// Where the number of tokens is known.
  std::optional<int64_t> knownCount() const;
  /// Tokens of a tile, at most.
  int64_t rows() const { return rowsOfTile; }

  /// One tile (index): its first token, how many there are, and its head.
  struct Tile {
    mlir::Value first, present, head;
  };
  Tile tile(LoopBuilder &b, mlir::Value number) const;
  /// Routes the tile of this number (index), a block's work.
  void emit(BlockBuilder &b, mlir::Value number) const;

  mlir::Value query() const { return queryBuffer; }
  mlir::Value keys() const { return keyBuffer; }
  const Selection &selection() const { return what; }
  /// Blocks that the keys of a tile can be spread over, a power of two.
  int64_t mostParts() const { return parts; }

private:
  RouteRegimes byTiles;
  mlir::Value queryBuffer, keyBuffer;
  int64_t rowsOfTile, heads, parts;
  Selection what;
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROUTETILES_H
