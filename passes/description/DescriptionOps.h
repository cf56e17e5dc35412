//===- DescriptionOps.h - ops in the functions of a description ----------===//

#ifndef PEER_PASSES_DESCRIPTION_DESCRIPTIONOPS_H
#define PEER_PASSES_DESCRIPTION_DESCRIPTIONOPS_H

#include "mlir/IR/Operation.h"

namespace peer {

/// Whether functions of a description can take and return values of this type: tensors whose first dimension alone may be
/// dynamic, of elements that compiled code knows. Emits what is wrong at `loc`; `what` names the value.
llvm::LogicalResult checkPassedType(mlir::Location loc, const llvm::Twine &what, mlir::Type type);

/// Checks an op that stands directly in the body of a function, its attributes and regions included.
llvm::LogicalResult checkDescribedOp(mlir::Operation *op);

} // namespace peer

#endif // PEER_PASSES_DESCRIPTION_DESCRIPTIONOPS_H
