//===- Alignment.h - how many elements one access may take ---------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_ALIGNMENT_H
#define PEER_LOWERING_GPU_BLOCK_ALIGNMENT_H

#include "mlir/IR/Operation.h"

namespace peer::device {

/// Whether every row of the buffer begins at a multiple of `elements` of its elements. Allocations, arguments of a kernel and
/// scratch begin at multiples of 256 bytes.
bool hasAlignedRows(mlir::Value buffer, int64_t elements);

/// 4 if all of the op's float buffers whose last dimension has this static size can be accessed four elements at a time,
/// else 1.
int64_t alignedLanes(mlir::Operation *op, int64_t size);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_ALIGNMENT_H
