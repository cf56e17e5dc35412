//===- Pipeline.h - kernel functions to launches -------------------------===//

#ifndef PEER_LOWERING_GPU_PIPELINE_H
#define PEER_LOWERING_GPU_PIPELINE_H

#include "Emitters.h"

#include "mlir/Pass/PassManager.h"

namespace peer {

/// The emitters for a target's GPU.
using SharedEmitters = std::shared_ptr<const device::Emitters>;

/// `--peer-launch-kernels` and `--peer-lower-to-blocks` with these.
std::unique_ptr<mlir::Pass> createLaunchKernelsPass(SharedEmitters emitters);
std::unique_ptr<mlir::Pass> createLowerToBlocksPass(SharedEmitters emitters);

/// Takes apart the routes that no kernel takes.
void prepareGpuTiling(mlir::OpPassManager &pm, const GpuInfo &gpu);

/// Kernel functions in buffer form to launches of GPU functions, entries to straight lines of launches, marks to calls.
/// `emitters`: null for plain loops, every op done by one thread of a block (the differential oracle).
void buildGpuKernelPipeline(mlir::OpPassManager &pm, SharedEmitters emitters);

} // namespace peer

#endif // PEER_LOWERING_GPU_PIPELINE_H
