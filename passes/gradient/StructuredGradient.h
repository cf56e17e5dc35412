//===- StructuredGradient.h - gradients of linalg.generic ----------------===//

#ifndef PEER_PASSES_GRADIENT_STRUCTUREDGRADIENT_H
#define PEER_PASSES_GRADIENT_STRUCTUREDGRADIENT_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace peer {

/// Gives `DifferentiableOpInterface` to `linalg.generic`. Passes that differentiate register this themselves.
void registerStructuredGradients(mlir::DialectRegistry &registry);

} // namespace peer

#endif // PEER_PASSES_GRADIENT_STRUCTUREDGRADIENT_H
