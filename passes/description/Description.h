//===- Description.h - what may stand in a model description -------------===//

#ifndef PEER_PASSES_DESCRIPTION_DESCRIPTION_H
#define PEER_PASSES_DESCRIPTION_DESCRIPTION_H

#include "mlir/IR/BuiltinOps.h"

namespace peer {

/// Reports the first thing in a module that no description may hold (README.md lists what it may), and the first attribute
/// that nothing reads.
llvm::LogicalResult checkDescription(mlir::ModuleOp module);

/// Whether a person writes this op; others of the dialect are made by passes.
bool isDescriptionOp(mlir::Operation *op);

/// Whether an op names things of the description: parameters, calls, requests. None is left at the graph level.
bool isModelOp(mlir::Operation *op);

} // namespace peer

#endif // PEER_PASSES_DESCRIPTION_DESCRIPTION_H
