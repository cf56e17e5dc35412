//===- Pipelines.h - from a description to the LLVM dialect --------------===//

#ifndef PEER_LOWERING_PIPELINES_H
#define PEER_LOWERING_PIPELINES_H

#include "Target.h"

namespace peer {

struct GraphOptions {
  /// A person wrote it: it is checked first for what no description may hold.
  bool isDescription = false;
  /// The training step in two entries, too.
  bool accumulate = false;
  /// How many of each token's best experts inference goes without.
  int64_t disabledExperts = 0;
};

/// Model level to graph level.
void buildGraphPipeline(mlir::OpPassManager &pm, const GraphOptions &options);
/// Graph level to tiled level.
void buildTiledPipeline(mlir::OpPassManager &pm, const Target &target);
/// Tiled level to one function per kernel, its op in buffer form. Blocks that repeat become one function, unless they are to stay apart.
void buildBufferPipeline(mlir::OpPassManager &pm, const Target &target, bool separateBlocks = false);
/// From there to kernel level.
void buildKernelPipeline(mlir::OpPassManager &pm, const Target &target);

/// `--peer-to-graph`, `--peer-to-tiled`, `--peer-to-kernel`, `--peer-to-llvm` for this machine's CPU.
void registerPipelines();

} // namespace peer

#endif // PEER_LOWERING_PIPELINES_H
