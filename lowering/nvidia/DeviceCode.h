//===- DeviceCode.h - the code of a compiled module's kernels ------------===//

#ifndef PEER_LOWERING_NVIDIA_DEVICECODE_H
#define PEER_LOWERING_NVIDIA_DEVICECODE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace peer {

/// The PTX text of the module's kernels, after the LLVM pipeline; empty if it has none.
std::string ptxOf(mlir::ModuleOp module);

/// The optimized LLVM IR of the kernels as text, where the LLVM pipeline was told to leave it instead of PTX.
llvm::Expected<std::string> deviceIROf(mlir::ModuleOp module);

} // namespace peer

#endif // PEER_LOWERING_NVIDIA_DEVICECODE_H
