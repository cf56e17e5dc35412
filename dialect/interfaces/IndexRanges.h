//===- IndexRanges.h - which operands are indices ------------------------===//

#ifndef PEER_DIALECT_INTERFACES_INDEXRANGES_H
#define PEER_DIALECT_INTERFACES_INDEXRANGES_H

#include "mlir/IR/OpDefinition.h"

#include <optional>
#include <utility>

namespace peer {

/// Half-open.
using IndexRange = std::pair<int64_t, int64_t>;

/// Attaches IndexingOpInterface to the ops that take indices, and upstream's InferIntRangeInterface to those that make them.
void attachIndexRanges(mlir::MLIRContext *context);

/// The range that an op wants the integers of this operand to lie in, if it takes them as indices.
std::optional<IndexRange> getIndexRange(mlir::OpOperand &operand);

/// Of how many experts a value holds numbers, where the op that makes it says so.
std::optional<int64_t> countNumberedExperts(mlir::Value idx);

} // namespace peer

#include "IndexRanges.h.inc"

#endif // PEER_DIALECT_INTERFACES_INDEXRANGES_H
