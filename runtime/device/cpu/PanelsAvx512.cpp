// Products in f32 by vectors of 16.

#include "Slab.h"

#ifdef __x86_64__
#include "Avx512.h"

#define PEER_VECTORS PEER_AVX512

namespace peer::runtime {
namespace {
struct Vectors {
  using Vector = __m512;
  using Lanes = __mmask16;
  static constexpr int64_t kLanes = 16;
  // Of 32 registers 24 hold sums, 3 a row of B, one an element of A. A panel of 196 KB is in L2 with its rows of A.
  static constexpr int kRows = 8, kColumns = 3;
  static constexpr int64_t kDepth = 1024;

  PEER_VECTORS static Lanes lanesOf(int64_t count) { return maskOf(count); }
  PEER_VECTORS static Vector load(const float *from) { return _mm512_loadu_ps(from); }
  PEER_VECTORS static Vector load(const float *from, Lanes lanes) { return _mm512_maskz_loadu_ps(lanes, from); }
  PEER_VECTORS static void store(float *to, Vector values) { _mm512_storeu_ps(to, values); }
  PEER_VECTORS static void store(float *to, Vector values, Lanes lanes) { _mm512_mask_storeu_ps(to, lanes, values); }
  PEER_VECTORS static Vector broadcast(float value) { return _mm512_set1_ps(value); }
  PEER_VECTORS static Vector multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  PEER_VECTORS static Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  PEER_VECTORS static void transpose(Vector *rows) {
    __m512i numbers[kLanes];
    for (int64_t i = 0; i < kLanes; ++i)
      numbers[i] = _mm512_castps_si512(rows[i]);
    peer::runtime::transpose(numbers);
    for (int64_t i = 0; i < kLanes; ++i)
      rows[i] = _mm512_castsi512_ps(numbers[i]);
  }
};
} // namespace
} // namespace peer::runtime

#include "Panels.h"

namespace peer::runtime {
SlabMultiplier multiplierByAvx512() {
  return __builtin_cpu_supports("avx512f") ? SlabMultiplier{multiplySlabBy, Vectors::kDepth, INT64_MAX, kLanes}
                                           : SlabMultiplier();
}
} // namespace peer::runtime
#else
peer::runtime::SlabMultiplier peer::runtime::multiplierByAvx512() { return {}; }
#endif
