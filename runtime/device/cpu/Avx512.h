// What products on vectors of 16 floats share.
#pragma once

#ifdef __x86_64__
#include <cstdint>
#include <immintrin.h>

#define PEER_AVX512 __attribute__((target("avx512f")))

namespace peer::runtime {

/// The first `count` lanes, all of them from 16 on.
PEER_AVX512 inline __mmask16 maskOf(int64_t count) {
  return count >= 16 ? 0xffff : count <= 0 ? 0 : static_cast<__mmask16>((1u << count) - 1);
}

/// 16 x 16 elements of 32 bits.
PEER_AVX512 inline void transpose(__m512i *rows) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Now the quarters of rows[4 q + c] are columns c, c + 4, ... of rows 4 q to 4 q + 3.
  constexpr int kEven = 0x88, kOdd = 0xdd;
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], kEven);
    t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], kOdd);
    t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], kEven);
    t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], kOdd);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], kEven);
    rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], kOdd);
    rows[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], kEven);
    rows[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], kOdd);
  }
}

} // namespace peer::runtime
#endif
