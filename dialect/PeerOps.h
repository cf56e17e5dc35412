//===- PeerOps.h - ops and interfaces of the peer dialect ----------------===//

#ifndef PEER_DIALECT_PEEROPS_H
#define PEER_DIALECT_PEEROPS_H

#include "dialect/PeerDialect.h"
#include "dialect/interfaces/MemoryEffects.h"
#include "dialect/ops/InferTypes.h"

#include "PeerInterfaces.h.inc"

#define GET_OP_CLASSES
#include "PeerOps.h.inc"

namespace peer {

/// States an optimizer keeps per parameter: 2 for adamw, 1 for sgd with
/// momentum, else 0.
unsigned getNumStates(mlir::Attribute optimizer);
/// Whether the optimizer updates touched rows only.
bool isLazy(mlir::Attribute optimizer);

} // namespace peer

#endif // PEER_DIALECT_PEEROPS_H
