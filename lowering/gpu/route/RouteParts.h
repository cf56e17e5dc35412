//===- RouteParts.h - the keys of a tile, spread over blocks -------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROUTEPARTS_H
#define PEER_LOWERING_GPU_ROUTE_ROUTEPARTS_H

#include "RouteTiles.h"

namespace peer::device {

/// Launches for fewer tiles than gpuRouteRegimes().blockPerTile: several blocks share the keys of each and select from their
/// parts; a second launch merges what they selected. The keys must be enough for two parts (RouteTiles::mostParts).
void emitRouteParts(const RouteTiles &tiles, LoopBuilder &host);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROUTEPARTS_H
