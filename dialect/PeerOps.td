//===- PeerOps.td - all ops, for one run of the generator ----------------===//

include "RoutingOps.td"
include "RoutingGradOps.td"
include "UpdateOps.td"
include "NNOps.td"
include "AttentionOps.td"
include "ModelOps.td"
