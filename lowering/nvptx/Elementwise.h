//===- Elementwise.h - elements over the threads of a block --------------===//

#ifndef PEER_LOWERING_NVPTX_ELEMENTWISE_H
#define PEER_LOWERING_NVPTX_ELEMENTWISE_H

#include "BlockBuilder.h"

namespace peer::nvptx {

/// Spreads the points of a space of these bounds over the threads of the block, row-major, `lanes` points along the
/// last bound at a time, of which that must be a multiple.
void forElements(BlockBuilder &b, llvm::ArrayRef<mlir::Value> bounds, int64_t lanes,
                 llvm::function_ref<void(llvm::ArrayRef<mlir::Value> at)> body);

} // namespace peer::nvptx

#endif // PEER_LOWERING_NVPTX_ELEMENTWISE_H
