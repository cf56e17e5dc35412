//===- DescriptionAttributes.h - attributes that something reads ---------===//

#ifndef PEER_PASSES_DESCRIPTION_DESCRIPTIONATTRIBUTES_H
#define PEER_PASSES_DESCRIPTION_DESCRIPTIONATTRIBUTES_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace peer {

/// Checks the attributes that a description gives to a module, or to an op that is no function.
llvm::LogicalResult checkAttributes(mlir::Operation *op);

/// Checks those of a function, its arguments and its results.
llvm::LogicalResult checkFunctionAttributes(mlir::FunctionOpInterface function);

} // namespace peer

#endif // PEER_PASSES_DESCRIPTION_DESCRIPTIONATTRIBUTES_H
