//===- Matmul.h - dense f32 products on the tensor cores -----------------===//

#ifndef PEER_LOWERING_GPU_DENSE_MATMUL_H
#define PEER_LOWERING_GPU_DENSE_MATMUL_H

#include "lowering/gpu/GpuInfo.h"
#include "lowering/gpu/block/BlockBuilder.h"

#include "lowering/emit/StoredTable.h"

namespace peer::device {

/// c = op(a) op(b): rank-2 f32 buffers, c is m x n.
struct Product {
  mlir::Value a, b, c;
  bool transposeA, transposeB;
  /// b is stored in fewer bits, n x k (transposeB), with these scales. Null: f32.
  mlir::Value scales = {};
  /// Elements of a and b are rounded to bf16 first.
  bool bf16 = false;

  /// What b is, with scales.
  StoredTable stored() const { return {b, scales, mlir::cast<mlir::MemRefType>(a.getType()).getShape().back()}; }

  mlir::Value rows(LoopBuilder &host) const { return host.dim(c, 0); }
  mlir::Value columns(LoopBuilder &host) const { return host.dim(c, 1); }
  mlir::Value depth(LoopBuilder &host) const { return host.dim(a, transposeA ? 0 : 1); }
};

/// Columns of a and rows of b that are multiplied at once: depths begin at its multiples.
inline constexpr int64_t kProductDepth = 16;

/// How the eight warps of a block share a tile of c.
struct MatmulTile {
  int64_t warpsM, warpsN;         // 8 in all
  int64_t fragmentsM, fragmentsN; // of a warp: 16 rows, 8 columns each

  int64_t rows() const { return 16 * warpsM * fragmentsM; }
  int64_t columns() const { return 8 * warpsN * fragmentsN; }
};
/// 128 x 64 for many rows, 32 x 128 for few: then the time goes into reading b.
inline constexpr MatmulTile kTallTile{4, 2, 2, 4}, kFlatTile{1, 8, 2, 2};

/// Launches the product by three tf32 products per f32 one (Mma.h): the error is near 1e-6 of |a| |b|. One of bf16 is as it is. Few tiles share
/// a long depth among several blocks, whose sums a second launch adds up in a fixed order.
void emitMatmul(LoopBuilder &host, const Product &product, const MatmulTile &tile, const GpuInfo &gpu);

/// Launches a product of one row, bound by reading b.
void emitVectorMatrix(LoopBuilder &host, const Product &product);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_DENSE_MATMUL_H
