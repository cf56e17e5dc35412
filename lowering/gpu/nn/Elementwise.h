//===- Elementwise.h - elements over the threads of a block --------------===//

#ifndef PEER_LOWERING_GPU_NN_ELEMENTWISE_H
#define PEER_LOWERING_GPU_NN_ELEMENTWISE_H

#include "lowering/gpu/block/BlockBuilder.h"

namespace peer::device {

/// Elements of a tile that goes through memory once: 16 bytes twice per thread.
inline constexpr int64_t kTileElements = 2048;

/// Spreads the points of a space of these bounds over the threads of the block, row-major, `lanes` points along the
/// last bound at a time, of which that must be a multiple.
void forElements(BlockBuilder &b, llvm::ArrayRef<mlir::Value> bounds, int64_t lanes,
                 llvm::function_ref<void(llvm::ArrayRef<mlir::Value> at)> body);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_NN_ELEMENTWISE_H
