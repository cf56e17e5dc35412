//===- Pipeline.h - kernel functions to launches -------------------------===//

#ifndef PEER_LOWERING_GPU_PIPELINE_H
#define PEER_LOWERING_GPU_PIPELINE_H

#include "mlir/Pass/PassManager.h"

namespace peer {

/// Takes apart the routes that no kernel takes; all of them where ops become plain loops.
void prepareGpuTiling(mlir::OpPassManager &pm, bool plainLoops);

/// Kernel functions in buffer form to launches of GPU functions, entries to straight lines of launches, marks to calls.
/// `plainLoops`: every op is done by one thread of a block (the differential oracle).
void buildGpuKernelPipeline(mlir::OpPassManager &pm, bool plainLoops);

} // namespace peer

#endif // PEER_LOWERING_GPU_PIPELINE_H
