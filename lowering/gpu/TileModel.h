//===- TileModel.h - tile sizes for GPUs ---------------------------------===//

#ifndef PEER_LOWERING_GPU_TILEMODEL_H
#define PEER_LOWERING_GPU_TILEMODEL_H

#include "passes/Tile.h"

namespace peer {

/// Tiles for the blocks of a GPU. Products, mixes, sorts and reductions are left whole: their emitters choose a grid when
/// the number of tokens is known.
TileSizeModel createGpuTileSizeModel();

/// Heads up to here are attention kernels that hold whole rows of a head in registers.
inline constexpr int64_t kWidestHead = 128;

/// How passes over the rows that tokens select (mix and its token pass) are spread, by the number of tokens.
struct MixRegimes {
  int64_t warpPerToken;   // from so many tokens on they fill a GPU with a warp each
  int64_t blockPerToken;  // ... with a block each; below, several blocks share a token
  int64_t tokensPerBlock; // where a token is a warp's
  int64_t warpsPerBlock;  // where a token is a block's
  int64_t warpsPerPart;   // of each block where several share a token
  int64_t warps;          // that several blocks per token should give altogether
  int64_t rowsPerWarp;    // but no fewer rows per warp
};
MixRegimes gpuMixRegimes();

/// How score and select are spread, by the number of tiles (tokens and a head each).
struct RouteRegimes {
  int64_t blockPerTile; // from so many tiles on they fill a GPU with a block each; below, several share a tile's keys
  int64_t keysPerBlock; // but no fewer each
};
RouteRegimes gpuRouteRegimes();

} // namespace peer

#endif // PEER_LOWERING_GPU_TILEMODEL_H
