//===- Traits.h - what kind of op it is ----------------------------------===//

#ifndef PEER_DIALECT_OPS_TRAITS_H
#define PEER_DIALECT_OPS_TRAITS_H

#include "mlir/IR/OpDefinition.h"

namespace peer {

/// An op of a model description that is gone at the graph level: parameters, calls, requests.
template <typename Op>
class ModelOp : public mlir::OpTrait::TraitBase<Op, ModelOp> {};

/// A graph op without a gradient that people may write.
template <typename Op>
class WrittenByPeople : public mlir::OpTrait::TraitBase<Op, WrittenByPeople> {};

} // namespace peer

#endif // PEER_DIALECT_OPS_TRAITS_H
