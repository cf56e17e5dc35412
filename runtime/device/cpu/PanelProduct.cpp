#include "PanelProduct.h"

#include "Slab.h"

namespace peer::runtime {

/// Up to so many, what a BLAS gains by its order of blocks is less than its packing costs.
static constexpr int64_t kFewRows = 64;

/// Of up to so many, a panel has the sums of 8 rows in registers, and OpenBLAS's kernels for small products those of more.
static constexpr int64_t kFewColumns = 16;

static SlabMultiplier multiplierOf(BlasVectors widest) {
  static const SlabMultiplier avx2 = multiplierByAvx2(), avx512 = multiplierByAvx512();
  if (widest >= BlasVectors::Avx512 && avx512.multiply)
    return avx512;
  return widest >= BlasVectors::Avx2 ? avx2 : SlabMultiplier();
}

int64_t panelLanes(BlasVectors widest) { return multiplierOf(widest).lanes; }

bool multiplyInPanels(bool transA, bool transB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                      int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc, BlasVectors widest) {
  SlabMultiplier by = multiplierOf(widest);
  bool deep = k > by.deepest && (m > kFewRows || transA), narrow = n <= kFewColumns && (transA || by.lanes == 16);
  if (!by.multiply || deep || narrow)
    return false;
  // C holds sums between two depths: no place for what is added to them once they are multiplied.
  if (alpha != 1 && beta != 0 && k > by.depth)
    return false;
  Matrix left{a, lda, transA}, right{b, ldb, transB};
  Cut depths(k, by.depth), slabs(m, kSlabRows);
  for (int64_t d = 0; d < depths.parts; ++d)
    for (int64_t s = 0; s < slabs.parts; ++s) {
      int64_t row = slabs[s], deep = depths[d];
      by.multiply({.a = left.from(row, deep),
                   .b = right.from(deep, 0),
                   .rows = slabs[s + 1] - row,
                   .columns = n,
                   .depth = depths[d + 1] - deep,
                   .c = c + row * ldc,
                   .ldc = ldc,
                   .begin = d > 0        ? 1
                            : alpha == 1 ? beta
                                         : 0,
                   .alpha = d + 1 == depths.parts ? alpha : 1,
                   .end = alpha == 1 ? 0 : beta});
    }
  return true;
}

} // namespace peer::runtime
