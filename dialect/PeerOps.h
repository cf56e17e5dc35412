//===- PeerOps.h - ops and interfaces of the peer dialect ----------------===//

#ifndef PEER_DIALECT_PEEROPS_H
#define PEER_DIALECT_PEEROPS_H

#include "dialect/PeerDialect.h"
#include "dialect/interfaces/MemoryEffects.h"
#include "dialect/interfaces/NamedOutputs.h"
#include "dialect/ops/InferTypes.h"
#include "dialect/ops/Traits.h"

#include "PeerInterfaces.h.inc"

#define GET_OP_CLASSES
#include "PeerOps.h.inc"

#endif // PEER_DIALECT_PEEROPS_H
