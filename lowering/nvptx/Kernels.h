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

// Elementwise.cpp: linalg ops and copies of a tile.
void populateElementwisePatterns(mlir::RewritePatternSet &patterns);

} // namespace peer::nvptx

#endif // PEER_LOWERING_NVPTX_KERNELS_H
