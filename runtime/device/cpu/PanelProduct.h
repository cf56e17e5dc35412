// Products in f32 on vectors of 8 or 16: of the sizes that compiled code asks for, a tile of tokens by a weight, a BLAS spends a good part of its time
// on packing both operands.
#pragma once

#include "Blas.h"

#include <cstdint>

namespace peer::runtime {

/// C = alpha op(A) op(B) + beta C as peer_rt_sgemm has it; m, n and k are at least 1. By vectors of at most `widest`. False, and nothing is
/// done: the CPU has none, or the product is one that they are not for. An element is a chain of multiply-adds in order of k, from beta C or, where
/// alpha is not 1, from zero: whatever the sizes and whatever else is computed.
bool multiplyInPanels(bool transA, bool transB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                      int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc,
                      BlasVectors widest = BlasVectors::Avx512);

/// Lanes of the vectors that it takes; 0: none.
int64_t panelLanes(BlasVectors widest);

} // namespace peer::runtime
