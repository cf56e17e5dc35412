//===- PeerOps.td - all ops, for one run of the generator ----------------===//

include "dialect/ops/RoutingOps.td"
include "dialect/ops/RoutingGradOps.td"
include "dialect/ops/BalanceOps.td"
include "dialect/ops/UpdateOps.td"
include "dialect/ops/NNOps.td"
include "dialect/ops/TensorOps.td"
include "dialect/ops/AttentionOps.td"
include "dialect/ops/StateSpaceOps.td"
include "dialect/ops/ModelOps.td"
