//===- LaunchBounds.h - blocks that shall be on a multiprocessor at once -===//

#ifndef PEER_LOWERING_NVPTX_LAUNCHBOUNDS_H
#define PEER_LOWERING_NVPTX_LAUNCHBOUNDS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace peer::nvptx {

/// Notes on an op of a kernel how many of its blocks shall fit on a multiprocessor. The assembler then takes the registers
/// that this leaves; of itself it would rather keep a few values in memory to make room for one block more.
inline void noteBlocks(mlir::Operation *op, int64_t blocks) {
  op->setAttr("peer.blocks", mlir::IntegerAttr::get(mlir::IntegerType::get(op->getContext(), 32), blocks));
}

/// Puts what was noted inside a kernel on the kernel itself. Outlining keeps attributes of ops only.
inline void collectBlocks(mlir::gpu::GPUFuncOp kernel) {
  kernel.walk([&](mlir::Operation *op) {
    if (mlir::Attribute blocks = op->removeAttr("peer.blocks"))
      kernel->setAttr(mlir::NVVM::NVVMDialect::getMinctasmAttrName(), blocks);
  });
}

} // namespace peer::nvptx

#endif // PEER_LOWERING_NVPTX_LAUNCHBOUNDS_H
