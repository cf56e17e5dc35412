//===- DeviceCode.h - the PTX of a compiled module -----------------------===//

#ifndef PEER_LOWERING_NVPTX_DEVICECODE_H
#define PEER_LOWERING_NVPTX_DEVICECODE_H

#include "mlir/IR/BuiltinOps.h"

namespace peer {

/// The PTX text of the module's kernels, after the LLVM pipeline; empty if it has none.
std::string ptxOf(mlir::ModuleOp module);

} // namespace peer

#endif // PEER_LOWERING_NVPTX_DEVICECODE_H
