// What products are cut into, and who multiplies it.
#pragma once

#include "Matrix.h"

namespace peer::runtime {

/// Parts of nearly equal sizes, of which none is larger than `most`.
struct Cut {
  int64_t size, parts;
  Cut(int64_t size, int64_t most) : size(size), parts((size + most - 1) / most) {}
  /// Where a part begins.
  int64_t operator[](int64_t part) const { return size * part / parts; }
};

/// Rows of A that meet a panel of B: they stay in L2 for the panels that follow.
inline constexpr int64_t kSlabRows = 128;

/// C = alpha A B + end C, of sums that begin with `begin` C: up to kSlabRows rows, as deep as a panel, and all columns of B.
struct Slab {
  Matrix a, b;
  int64_t rows, columns, depth;
  float *c;
  int64_t ldc;
  float begin, alpha, end;
};

/// By vectors of one kind; null: this CPU has none.
struct SlabMultiplier {
  void (*multiply)(const Slab &slab) = nullptr;
  /// Of a slab.
  int64_t depth = 0;
  /// Of many rows the BLAS does deeper products as fast or faster.
  int64_t deepest = 0;
  int64_t lanes = 0;
};
SlabMultiplier multiplierByAvx2();
SlabMultiplier multiplierByAvx512();

} // namespace peer::runtime
