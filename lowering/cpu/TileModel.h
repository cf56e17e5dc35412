//===- TileModel.h - tile sizes for CPUs ---------------------------------===//

#ifndef PEER_LOWERING_CPU_TILEMODEL_H
#define PEER_LOWERING_CPU_TILEMODEL_H

#include "passes/Tile.h"

namespace peer {

/// Tile sizes such that a tile's working set stays in a core's L2 cache and there
/// are tiles enough for the cores. An op too small to be worth a thread gets none.
TileSizeModel createCpuTileSizeModel();

} // namespace peer

#endif // PEER_LOWERING_CPU_TILEMODEL_H
