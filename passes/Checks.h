//===- Checks.h - results by which an entry says that a call went wrong --===//

#ifndef PEER_PASSES_CHECKS_H
#define PEER_PASSES_CHECKS_H

#include "passes/analysis/ValueRanges.h"

namespace peer {

namespace attrs {
constexpr llvm::StringLiteral kCheck = "peer.check";
} // namespace attrs

/// `FILE:LINE:COLUMN` of an op in its description, the file without its folders; empty where that is not known.
std::string describePlace(mlir::Operation *op);

/// The `peer.check` of a result: a rank-0 f32 that counts the integers which `what` takes as indices and which are not in range.
mlir::DictionaryAttr describeCheck(mlir::Builder &builder, llvm::StringRef what, IndexRange range);

/// Appends a result with a check to a finished function; its name differs from those of all others.
void appendCheck(mlir::func::FuncOp function, mlir::Value value, mlir::DictionaryAttr check);

/// `weights`, or zeros where `scale`, a rank-0 f32, is NaN: what a vetoed step selected is not counted.
mlir::Value zeroIfVetoed(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value weights, mlir::Value scale);

} // namespace peer

#endif // PEER_PASSES_CHECKS_H
