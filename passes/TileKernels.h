//===- TileKernels.h - which ops become one kernel -----------------------===//

#ifndef PEER_PASSES_TILEKERNELS_H
#define PEER_PASSES_TILEKERNELS_H

#include "Tile.h"
#include "passes/analysis/KernelWork.h"

namespace peer {

/// Ops that run as one kernel, in textual order; the last one is tiled and the others are fused into its loop.
struct Kernel {
  llvm::SmallVector<mlir::Operation *> ops;
  /// One size per loop that the last op offers, 0 where the loop is not tiled; empty where the kernel has no loop.
  llvm::SmallVector<int64_t> sizes;
  /// The loop that comes first, if not all are in order.
  std::optional<unsigned> outermost;
  std::string name;
  KernelWork work;

  mlir::Operation *anchor() const { return ops.back(); }
};

/// Divides the ops of a block at graph level into kernels. Ops that cost nothing (reshapes, scalars) belong to none.
llvm::SmallVector<Kernel> planKernels(mlir::Block &block, const TileSizeModel &model);

/// The loops of a kernel that are cut, with their sizes: what its mark says.
llvm::SmallVector<mlir::NamedAttribute> describeTiles(mlir::Builder &builder, const Kernel &kernel);

} // namespace peer

#endif // PEER_PASSES_TILEKERNELS_H
