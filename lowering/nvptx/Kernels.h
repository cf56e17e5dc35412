//===- Kernels.h - the emitters for NVIDIA GPUs --------------------------===//
//
// Block emitters write what one block does with a tile; grid emitters take an op that the tile model left whole and
// launch what it needs.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_NVPTX_KERNELS_H
#define PEER_LOWERING_NVPTX_KERNELS_H

#include "BlockPattern.h"

namespace peer::nvptx {

/// Every block and grid emitter.
void populateBlockPatterns(mlir::RewritePatternSet &patterns);
void populateGridPatterns(mlir::RewritePatternSet &patterns);

// By family: block emitters into `blocks`, grid emitters into `grids`; either may be null.
struct PatternSets {
  mlir::RewritePatternSet *blocks = nullptr, *grids = nullptr;

  /// A tile's code, preferred to plain loops on one thread.
  template <typename OpTy>
  void block(void (*emit)(OpTy, BlockBuilder &), const char *(*reject)(OpTy) = nullptr) {
    if (blocks)
      addBlock(*blocks, emit, reject);
  }
  /// A whole op's launches.
  template <typename OpTy>
  void grid(void (*emit)(OpTy, LoopBuilder &), const char *(*reject)(OpTy) = nullptr) {
    if (grids)
      addGrid(*grids, emit, reject);
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

} // namespace peer::nvptx

#endif // PEER_LOWERING_NVPTX_KERNELS_H
