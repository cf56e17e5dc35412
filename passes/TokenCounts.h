//===- TokenCounts.h - how many rows values have, per token ---*- C++ -*-===//

#ifndef PEER_PASSES_TOKENCOUNTS_H
#define PEER_PASSES_TOKENCOUNTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace peer {

/// Refuses an entry in which one op would work on T rows of one operand and on more or fewer of another. Types cannot
/// tell, as all of them say `?`, and compiled code would read beyond the shorter one.
llvm::LogicalResult checkTokenCounts(mlir::func::FuncOp entry);

} // namespace peer

#endif // PEER_PASSES_TOKENCOUNTS_H
