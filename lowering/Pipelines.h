//===- Pipelines.h - from a description to the LLVM dialect --------------===//

#ifndef PEER_LOWERING_PIPELINES_H
#define PEER_LOWERING_PIPELINES_H

#include "lowering/nvidia/Target.h"
#include "passes/Tile.h"

#include "mlir/Pass/PassManager.h"

namespace peer {

/// What the lowerings below the tiled level need to know; nothing there reads
/// a global option.
struct LoweringOptions {
  /// Answers how an op is tiled; none: nothing is.
  TileSizeModel tileSizes;
  /// f32 lanes of a vector register.
  int64_t vectorWidth = 16;
  /// The GPU that kernels run on; none: this CPU.
  std::optional<GpuTarget> gpu;
  /// Leave the kernels of a GPU as LLVM bitcode: for reading, not for running.
  bool deviceBitcode = false;
  /// Plain scalar loops instead of vector code (the differential oracle).
  bool plainLoops = false;
};

/// Model level to graph level.
void buildGraphPipeline(mlir::OpPassManager &pm);
/// Graph level to tiled level.
void buildTiledPipeline(mlir::OpPassManager &pm, const LoweringOptions &options);
/// Tiled level to kernel level.
void buildKernelPipeline(mlir::OpPassManager &pm, const LoweringOptions &options);
/// Kernel level to the LLVM dialect, with kernels for a GPU as PTX (or bitcode) in a gpu.binary.
void buildLLVMPipeline(mlir::OpPassManager &pm, const LoweringOptions &options);

/// `--peer-to-graph`, `--peer-to-tiled`, `--peer-to-kernel`, `--peer-to-llvm` for this machine's CPU.
void registerPipelines();

} // namespace peer

#endif // PEER_LOWERING_PIPELINES_H
