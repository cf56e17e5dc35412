//===- DecomposeRoutes.h - which routes a target has no kernel for -------===//

#ifndef PEER_PASSES_DECOMPOSEROUTES_H
#define PEER_PASSES_DECOMPOSEROUTES_H

#include "dialect/PeerOps.h"

#include "mlir/Pass/Pass.h"

#include <functional>

namespace peer {

/// Why a target wants a route in parts, or null.
using RejectRoute = std::function<const char *(RouteOp)>;

/// `--peer-decompose-routes` of the routes that a target rejects. Which and why are remarks (passes/Remarks.h).
std::unique_ptr<mlir::Pass> createDecomposeRoutesPass(RejectRoute reject);

} // namespace peer

#endif // PEER_PASSES_DECOMPOSEROUTES_H
