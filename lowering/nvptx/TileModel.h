//===- TileModel.h - tile sizes for GPUs ---------------------------------===//

#ifndef PEER_LOWERING_NVPTX_TILEMODEL_H
#define PEER_LOWERING_NVPTX_TILEMODEL_H

#include "passes/Tile.h"

namespace peer {

/// Tiles for the blocks of a GPU. Products, mixes, sorts and reductions are left whole: their emitters choose a grid when
/// the number of tokens is known.
TileSizeModel createGpuTileSizeModel();

} // namespace peer

#endif // PEER_LOWERING_NVPTX_TILEMODEL_H
