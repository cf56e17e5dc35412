//===- DecomposeRoutes.h - which routes a target has no kernel for -------===//

#ifndef PEER_PASSES_DECOMPOSEROUTES_H
#define PEER_PASSES_DECOMPOSEROUTES_H

#include "dialect/PeerOps.h"

#include "mlir/Pass/Pass.h"

namespace peer {

/// Why a target has no kernel for a route, or null.
using RejectRoute = const char *(*)(RouteOp);

/// `--peer-decompose-routes` of the routes that a target rejects; of all where it is null.
std::unique_ptr<mlir::Pass> createDecomposeRoutesPass(RejectRoute reject);

} // namespace peer

#endif // PEER_PASSES_DECOMPOSEROUTES_H
