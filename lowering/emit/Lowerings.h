//===- Lowerings.h - ops on buffers to loops and vectors -----------------===//
//
// Each op has one emitter, parameterised by the vector width. Width 1 gives plain scalar loops: the slow, obvious
// decomposition, which is the oracle for the vector code.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_EMIT_LOWERINGS_H
#define PEER_LOWERING_EMIT_LOWERINGS_H

#include "mlir/IR/PatternMatch.h"

namespace peer {

struct VectorOptions {
  /// Lanes of f32 in one vector; a power of two.
  int64_t width = 16;
};

/// score, select, gate, mix and their gradients, capacity, usage, updates.
void populateRoutingToLoopsPatterns(mlir::RewritePatternSet &patterns);
void populateRoutingToVectorsPatterns(mlir::RewritePatternSet &patterns, const VectorOptions &options);

/// linear, embedding, norms, activation, losses, rotary positions and attention.
void populateNNToLoopsPatterns(mlir::RewritePatternSet &patterns);
void populateNNToVectorsPatterns(mlir::RewritePatternSet &patterns, const VectorOptions &options);

} // namespace peer

#endif // PEER_LOWERING_EMIT_LOWERINGS_H
