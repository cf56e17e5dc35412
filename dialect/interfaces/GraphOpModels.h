//===- GraphOpModels.h - one external model for all graph ops ------------===//

#ifndef PEER_DIALECT_INTERFACES_GRAPHOPMODELS_H
#define PEER_DIALECT_INTERFACES_GRAPHOPMODELS_H

#include "dialect/PeerOps.h"

namespace peer::detail {

template <template <typename> class Model, typename Op>
void attachToGraphOp(mlir::MLIRContext *context) {
  if constexpr (Op::template hasTrait<GraphOpInterface::Trait>())
    Op::template attachInterface<Model<Op>>(*context);
}

template <template <typename> class Model, typename... Ops>
void attachToEach(mlir::MLIRContext *context) {
  (attachToGraphOp<Model, Ops>(context), ...);
}

/// Attaches the external model `Model<Op>` to every op of the dialect that is a
/// graph op, so that a new op has it without being named anywhere.
template <template <typename> class Model>
void attachToGraphOps(mlir::MLIRContext *context) {
  attachToEach<Model,
#define GET_OP_LIST
#include "PeerOps.cpp.inc"
               >(context);
}

} // namespace peer::detail

#endif // PEER_DIALECT_INTERFACES_GRAPHOPMODELS_H
