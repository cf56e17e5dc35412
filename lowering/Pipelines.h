//===- Pipelines.h - from a description to the LLVM dialect --------------===//

#ifndef PEER_LOWERING_PIPELINES_H
#define PEER_LOWERING_PIPELINES_H

#include "Target.h"

namespace peer {

/// Model level to graph level; with the training step in two entries, too, where `accumulate` asks for them.
void buildGraphPipeline(mlir::OpPassManager &pm, bool accumulate = false);
/// Graph level to tiled level.
void buildTiledPipeline(mlir::OpPassManager &pm, TileSizeModel tileSizes);
/// Tiled level to one function per kernel, its op in buffer form.
void buildBufferPipeline(mlir::OpPassManager &pm);
/// From there to kernel level.
void buildKernelPipeline(mlir::OpPassManager &pm, const Target &target);

/// `--peer-to-graph`, `--peer-to-tiled`, `--peer-to-kernel`, `--peer-to-llvm` for this machine's CPU.
void registerPipelines();

} // namespace peer

#endif // PEER_LOWERING_PIPELINES_H
