// Products in f32 by vectors of 8.

#include "Slab.h"

#ifdef __x86_64__
#include <immintrin.h>

#define PEER_VECTORS __attribute__((target("avx2,fma")))

namespace peer::runtime {
namespace {
struct Vectors {
  using Vector = __m256;
  struct Lanes {
    __m256i mask;
    // Masked stores take ten times as long as others on some CPUs.
    bool all;
  };
  static constexpr int64_t kLanes = 8;
  // Of 16 registers 12 hold sums, 2 a row of B, one an element of A. A panel of 16 KB is in L1, its rows of A in the smallest L2.
  static constexpr int kRows = 6, kColumns = 2;
  static constexpr int64_t kDepth = 256;

  PEER_VECTORS static Lanes lanesOf(int64_t count) {
    __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int present = static_cast<int>(count < kLanes ? count : kLanes);
    return {_mm256_cmpgt_epi32(_mm256_set1_epi32(present), numbers), count >= kLanes};
  }
  PEER_VECTORS static Vector load(const float *from) { return _mm256_loadu_ps(from); }
  PEER_VECTORS static Vector load(const float *from, const Lanes &lanes) {
    return _mm256_maskload_ps(from, lanes.mask);
  }
  PEER_VECTORS static void store(float *to, Vector values) { _mm256_storeu_ps(to, values); }
  PEER_VECTORS static void store(float *to, Vector values, const Lanes &lanes) {
    if (lanes.all)
      _mm256_storeu_ps(to, values);
    else
      _mm256_maskstore_ps(to, lanes.mask, values);
  }
  PEER_VECTORS static Vector broadcast(float value) { return _mm256_set1_ps(value); }
  PEER_VECTORS static Vector multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  PEER_VECTORS static Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  PEER_VECTORS static void transpose(Vector *rows) {
    Vector t[kLanes];
    for (int64_t i = 0; i < kLanes; i += 2) {
      t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    constexpr int kLow = 0x44, kHigh = 0xee;
    for (int64_t i = 0; i < kLanes; i += 4) {
      rows[i] = _mm256_shuffle_ps(t[i], t[i + 2], kLow);
      rows[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], kHigh);
      rows[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], kLow);
      rows[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], kHigh);
    }
    // Now the halves of rows[4 q + c] are columns c and c + 4 of rows 4 q to 4 q + 3.
    for (int64_t i = 0; i < 4; ++i) {
      t[i] = _mm256_permute2f128_ps(rows[i], rows[i + 4], 0x20);
      t[i + 4] = _mm256_permute2f128_ps(rows[i], rows[i + 4], 0x31);
    }
    for (int64_t i = 0; i < kLanes; ++i)
      rows[i] = t[i];
  }
};
} // namespace
} // namespace peer::runtime

#include "Panels.h"

namespace peer::runtime {
SlabMultiplier multiplierByAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
             ? SlabMultiplier{multiplySlabBy, Vectors::kDepth, 2 * Vectors::kDepth, kLanes}
             : SlabMultiplier();
}
} // namespace peer::runtime
#else
peer::runtime::SlabMultiplier peer::runtime::multiplierByAvx2() { return {}; }
#endif
