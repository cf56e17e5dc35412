//===- ExpertChoice.h - experts that choose tokens -----------------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_EXPERTCHOICE_H
#define PEER_LOWERING_GPU_ROUTE_EXPERTCHOICE_H

#include "lowering/gpu/block/BlockBuilder.h"

namespace peer::device {

/// Launches a select whose experts choose tokens: a block for each expert of each head.
void launchExpertChoice(SelectOp op, LoopBuilder &host);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_EXPERTCHOICE_H
