//===- Differentiation.h - gradients of ops that are not ours ------------===//

#ifndef PEER_DIALECT_INTERFACES_DIFFERENTIATION_H
#define PEER_DIALECT_INTERFACES_DIFFERENTIATION_H

#include "mlir/IR/Builders.h"

namespace peer {

/// Gives `DifferentiableOpInterface` to the upstream ops that descriptions use:
/// arithmetic of `arith` on tensors, and `tensor.cast`. Passes that differentiate
/// register this themselves.
void registerDifferentiationModels(mlir::DialectRegistry &registry);

/// A number in the shape and type of `like`, a tensor or a scalar.
mlir::Value createSplat(mlir::OpBuilder &builder, mlir::Location loc, double number, mlir::Value like);

} // namespace peer

#endif // PEER_DIALECT_INTERFACES_DIFFERENTIATION_H
