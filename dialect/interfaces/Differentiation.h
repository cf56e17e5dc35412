//===- Differentiation.h - gradients of ops that are not ours ------------===//

#ifndef PEER_DIALECT_INTERFACES_DIFFERENTIATION_H
#define PEER_DIALECT_INTERFACES_DIFFERENTIATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace peer {

/// Gives `DifferentiableOpInterface` to the upstream ops that descriptions use:
/// arithmetic of `arith` on tensors, and `tensor.cast`. Passes that differentiate
/// register this themselves.
void registerDifferentiationModels(mlir::DialectRegistry &registry);

} // namespace peer

#endif // PEER_DIALECT_INTERFACES_DIFFERENTIATION_H
