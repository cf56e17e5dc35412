//===- Destinations.h - where graph ops write their outputs --------------===//

#ifndef PEER_DIALECT_INTERFACES_DESTINATIONS_H
#define PEER_DIALECT_INTERFACES_DESTINATIONS_H

#include "dialect/PeerOps.h"

#include "mlir/IR/PatternMatch.h"

namespace peer {

/// The operand that output `output` is written to: the input it is tied to, or
/// one of the outs. Null in value form before destinations are given.
mlir::OpOperand *getDestination(GraphOpInterface op, unsigned output);

/// The output that is written to `operand`, if one is.
std::optional<unsigned> getWrittenOutput(GraphOpInterface op, mlir::OpOperand &operand);

/// Whether an output has nowhere to go: neither tied nor given an out.
bool lacksDestinations(GraphOpInterface op);

/// Gives each untied output of `op` a `tensor.empty` as destination and returns
/// the op that replaced it. Wants an op for which `lacksDestinations` holds.
mlir::FailureOr<GraphOpInterface> addDestinations(mlir::RewriterBase &rewriter, GraphOpInterface op);

/// Size of dimension `dim` of a tensor, from as early a value as can be found, so that
/// asking for it does not keep the ops in between alive.
mlir::OpFoldResult getTensorDim(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensor, int64_t dim);

/// Sizes of output `output`, from the index notation.
llvm::SmallVector<mlir::OpFoldResult> getOutputSizes(mlir::OpBuilder &builder, GraphOpInterface op, unsigned output);

} // namespace peer

#endif // PEER_DIALECT_INTERFACES_DESTINATIONS_H
