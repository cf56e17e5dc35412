//===- Optimizers.h - what passes ask of an optimizer's attribute --------===//

#ifndef PEER_PASSES_TRAINING_OPTIMIZERS_H
#define PEER_PASSES_TRAINING_OPTIMIZERS_H

#include "dialect/PeerOps.h"

namespace peer {

/// The bound of a group's gradient norm; 0 where there is none.
double getClipNorm(mlir::Attribute optimizer);
/// The default of the run-time value.
mlir::FloatAttr getLearningRate(mlir::Attribute optimizer);
/// Names of an optimizer's states, in the order of `peer.update`'s operands.
llvm::SmallVector<llvm::StringRef> getStateNames(mlir::Attribute optimizer);

} // namespace peer

#endif // PEER_PASSES_TRAINING_OPTIMIZERS_H
