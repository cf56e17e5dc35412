//===- LaunchBounds.h - blocks that shall be on a multiprocessor at once -===//

#ifndef PEER_LOWERING_GPU_BLOCK_LAUNCHBOUNDS_H
#define PEER_LOWERING_GPU_BLOCK_LAUNCHBOUNDS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

namespace peer::device {

/// Where noteBlocks() writes; --peer-finish-kernels puts it on the kernel.
inline constexpr llvm::StringLiteral kBlocksAttr = "peer.blocks";

/// Notes on an op of a kernel how many of its blocks shall fit on a multiprocessor. The assembler then takes the registers
/// that this leaves; of itself it would rather keep a few values in memory to make room for one block more.
inline void noteBlocks(mlir::Operation *op, int64_t blocks) {
  op->setAttr(kBlocksAttr, mlir::IntegerAttr::get(mlir::IntegerType::get(op->getContext(), 32), blocks));
}

/// The same on the op that was emitted last, which no pass may remove: a barrier, say.
inline void noteBlocks(mlir::OpBuilder &b, int64_t blocks) { noteBlocks(&*std::prev(b.getInsertionPoint()), blocks); }

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_LAUNCHBOUNDS_H
