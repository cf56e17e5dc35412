//===- Kernels.h - the emitters for NVIDIA GPUs --------------------------===//
//
// Block emitters write what one block does with a tile; grid emitters take an op that the tile model left whole and
// launch what it needs.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_KERNELS_H
#define PEER_LOWERING_GPU_KERNELS_H

#include "lowering/gpu/block/BlockBuilder.h"

#include "lowering/emit/BufferPattern.h"

namespace peer::device {

/// Every block and grid emitter.
void populateBlockPatterns(mlir::RewritePatternSet &patterns);
void populateGridPatterns(mlir::RewritePatternSet &patterns);

// By family: block emitters into `blocks`, grid emitters into `grids`; either may be null. Who applies them says where:
// blocks to ops inside launches (LowerToBlocks.cpp), grids to ops of a kernel's host function (LaunchKernels.cpp).
struct PatternSets {
  mlir::RewritePatternSet *blocks = nullptr, *grids = nullptr;

  /// A tile's code, preferred to plain loops on one thread.
  template <typename OpTy>
  void block(void (*emit)(OpTy, BlockBuilder &), const char *(*reject)(OpTy) = nullptr) {
    auto inBlock = [emit](OpTy op, LoopBuilder &at) {
      BlockBuilder b(at, at.getLoc(), op->template getParentOfType<mlir::gpu::LaunchOp>());
      emit(op, b);
    };
    if (blocks)
      blocks->add<BufferPattern<OpTy>>(blocks->getContext(), remarks::kBlock, inBlock, reject, /*benefit=*/2);
  }
  /// A whole op's launches.
  template <typename OpTy>
  void grid(void (*emit)(OpTy, LoopBuilder &), const char *(*reject)(OpTy) = nullptr) {
    if (grids)
      grids->add<BufferPattern<OpTy>>(grids->getContext(), remarks::kGrid, emit, reject, /*benefit=*/1);
  }
};
void populateNNPatterns(PatternSets sets);        // NN.cpp: nn: norms, embedding, activation, losses, rotary positions
void populateLinearPatterns(PatternSets sets);    // Linear.cpp: dense products
void populateAttentionPatterns(PatternSets sets); // Attention.cpp: attention and its gradient
void populateScorePatterns(PatternSets sets);     // Score.cpp: score, select, gate, fused and apart
void populateMixPatterns(PatternSets sets);       // Mix.cpp: mix and its token pass
void populateRouteGradPatterns(PatternSets sets); // RouteGrad.cpp: gradients of score, select and gate
void populatePoolPatterns(PatternSets sets);      // Pool.cpp: sorted pairs, the pool's gradient, updates, usage
// Elementwise.cpp: linalg ops and copies of a tile.
void populateElementwisePatterns(mlir::RewritePatternSet &patterns);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_KERNELS_H
