// Products of elements that are rounded to bf16: by registers of tiles where the CPU has them, else by the BLAS, of rounded copies.

#include "Avx512.h"
#include "Matrix.h"
#include "device/Hooks.h"

#include <algorithm>
#include <bit>
#include <memory>

using peer::runtime::Matrix;

namespace {

/// What is packed, or copied, at once: depth, rows of A, columns of B.
constexpr int64_t kDepth = 256, kRows = 256, kColumns = 512;

/// C = alpha A B + beta C of at most kRows x kColumns x kDepth.
struct Block {
  Matrix a, b;
  int64_t rows, columns, depth;
  float alpha, beta;
  float *c;
  int64_t ldc;
};

/// To the nearest, ties to even, as an f32; NaN stays NaN.
float rounded(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value)
    return std::bit_cast<float>((bits | 0x00400000u) & 0xffff0000u);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}

/// Memory of a thread, kept for the next product.
struct Scratch {
  alignas(64) float a[kRows * kDepth], b[kDepth * kColumns];
};
Scratch &scratch() {
  static thread_local auto instance = std::make_unique_for_overwrite<Scratch>();
  return *instance;
}

void multiplyCopies(const Block &block) {
  Scratch &copies = scratch();
  auto copy = [](const Matrix &matrix, int64_t rows, int64_t columns, float *to) {
    if (matrix.transposed)
      std::swap(rows, columns);
    for (int64_t i = 0; i < rows; ++i)
      std::transform(matrix.data + i * matrix.stride, matrix.data + i * matrix.stride + columns, to + i * columns,
                     rounded);
    return columns;
  };
  int64_t lda = copy(block.a, block.rows, block.depth, copies.a);
  int64_t ldb = copy(block.b, block.depth, block.columns, copies.b);
  peer_rt_sgemm(block.a.transposed, block.b.transposed, block.rows, block.columns, block.depth, block.alpha, copies.a,
                lda, copies.b, ldb, block.beta, block.c, block.ldc);
}

#ifdef __x86_64__
using peer::runtime::maskOf;

#define PEER_TILES __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

bool hasTiles() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512bf16") && peer_rt_tiles();
  return has;
}

// A tile is 16 rows of 64 bytes. Of A: rows of 32 elements in depth. Of B: a row for each pair in depth, of 16 columns. Lines are rows of A or
// columns of B; packed, a panel of 16 lines is one tile after the other in depth, padded with zeros.
//
// Tiles flush what is subnormal to zero, so each line is packed divided by a power of two that brings its greatest element to about 1, and sums
// are multiplied by those of their row and column: what is lost is below 2^-120 of the greatest product that there may be.

constexpr int64_t kLines = 16, kStep = 32, kTileBytes = 1024;

struct Tiles {
  uint8_t *bytes;
  float *exponents; // of the power of two for each line
};

/// Absolute values as numbers that are in the same order, NaN above infinity.
PEER_TILES inline __m512i magnitudes(__m512 values) {
  return _mm512_and_epi32(_mm512_castps_si512(values), _mm512_set1_epi32(0x7fffffff));
}

/// The greatest magnitude of each line.
PEER_TILES __m512i greatest(const float *data, int64_t stride, bool depthInner, int64_t lines, int64_t depth) {
  if (!depthInner) {
    __mmask16 present = maskOf(lines);
    __m512i most = _mm512_setzero_si512(), others = most;
    for (int64_t k = 0; k < depth; k += 2) {
      most = _mm512_max_epu32(most, magnitudes(_mm512_maskz_loadu_ps(present, data + k * stride)));
      if (k + 1 < depth)
        others = _mm512_max_epu32(others, magnitudes(_mm512_maskz_loadu_ps(present, data + (k + 1) * stride)));
    }
    return _mm512_max_epu32(most, others);
  }
  alignas(64) uint32_t result[kLines] = {};
  for (int64_t i = 0; i < lines; ++i) {
    __m512i most = _mm512_setzero_si512(), others = most;
    for (int64_t k = 0; k < depth; k += 32) {
      const float *at = data + i * stride + k;
      most = _mm512_max_epu32(most, magnitudes(_mm512_maskz_loadu_ps(maskOf(depth - k), at)));
      others = _mm512_max_epu32(others, magnitudes(_mm512_maskz_loadu_ps(maskOf(depth - k - 16), at + 16)));
    }
    result[i] = _mm512_reduce_max_epu32(_mm512_max_epu32(most, others));
  }
  return _mm512_load_si512(result);
}

/// 16 lines; `pairs`: tiles of B. False: an element is none of the numbers that bf16 holds.
PEER_TILES bool packPanel(const float *data, int64_t stride, bool depthInner, int64_t lines, int64_t depth, bool pairs,
                          uint8_t *to, float *exponents) {
  __m512i most = greatest(data, stride, depthInner, lines, depth);
  constexpr uint32_t kRoundsToInfinity = 0x7f7f8000;
  if (_mm512_reduce_max_epu32(most) >= kRoundsToInfinity)
    return false;
  // Fields of exponents e and 254 - e are of a power of two and its inverse.
  __m512i field =
      _mm512_min_epi32(_mm512_max_epi32(_mm512_srli_epi32(most, 23), _mm512_set1_epi32(1)), _mm512_set1_epi32(253));
  __m512 scales = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(254), field), 23));
  _mm512_store_ps(exponents, _mm512_cvtepi32_ps(_mm512_sub_epi32(field, _mm512_set1_epi32(127))));
  alignas(64) float scale[kLines];
  _mm512_store_ps(scale, scales);

  auto store = [](uint8_t *tile, int64_t row, __m512i value) PEER_TILES { _mm512_store_si512(tile + 64 * row, value); };
  auto narrow = [](__m512 low, __m512 high) PEER_TILES { return (__m512i)_mm512_cvtne2ps_pbh(high, low); };
  // Elements of the lower and the upper half by turns.
  alignas(64) uint16_t turns[32];
  for (uint16_t i = 0; i < 16; ++i)
    turns[2 * i] = i, turns[2 * i + 1] = static_cast<uint16_t>(16 + i);
  __m512i byTurns = _mm512_load_si512(turns);

  for (int64_t first = 0; first < depth; first += kStep, to += kTileBytes) {
    int64_t left = depth - first;
    auto atDepth = [&](int64_t k) PEER_TILES { // of all lines
      return _mm512_mul_ps(scales, _mm512_maskz_loadu_ps(k < left ? maskOf(lines) : 0, data + (first + k) * stride));
    };
    __m512i rows[kLines];
    if (!depthInner && pairs) {
      for (int64_t p = 0; p < kLines; ++p)
        store(to, p, _mm512_permutexvar_epi16(byTurns, narrow(atDepth(2 * p), atDepth(2 * p + 1))));
      continue;
    }
    if (depthInner) {
      for (int64_t i = 0; i < kLines; ++i) {
        const float *at = data + i * stride + first;
        __m512 factor = _mm512_set1_ps(scale[i]);
        __m512 low = _mm512_maskz_loadu_ps(i < lines ? maskOf(left) : 0, at);
        __m512 high = _mm512_maskz_loadu_ps(i < lines ? maskOf(left - 16) : 0, at + 16);
        rows[i] = narrow(_mm512_mul_ps(factor, low), _mm512_mul_ps(factor, high));
      }
      if (pairs)
        peer::runtime::transpose(rows);
    } else {
      __m512i highs[kLines];
      for (int64_t k = 0; k < kLines; ++k) {
        rows[k] = _mm512_castps_si512(atDepth(k));
        highs[k] = _mm512_castps_si512(atDepth(16 + k));
      }
      peer::runtime::transpose(rows);
      peer::runtime::transpose(highs);
      for (int64_t i = 0; i < kLines; ++i)
        rows[i] = narrow(_mm512_castsi512_ps(rows[i]), _mm512_castsi512_ps(highs[i]));
    }
    for (int64_t i = 0; i < kLines; ++i)
      store(to, i, rows[i]);
  }
  return true;
}

int64_t panelBytes(int64_t depth) { return (depth + kStep - 1) / kStep * kTileBytes; }

PEER_TILES bool pack(const Matrix &matrix, bool depthInner, int64_t lines, int64_t depth, bool pairs, Tiles tiles) {
  for (int64_t line = 0; line < lines; line += kLines)
    if (!packPanel(matrix.data + line * (depthInner ? matrix.stride : 1), matrix.stride, depthInner,
                   std::min(kLines, lines - line), depth, pairs, tiles.bytes + line / kLines * panelBytes(depth),
                   tiles.exponents + line))
      return false;
  return true;
}

/// One or two panels by one or two, 32 sums a row.
template <bool kTwoRows, bool kTwoColumns>
PEER_TILES void multiplyPanels(const uint8_t *a, const uint8_t *b, int64_t bytes, float *sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t at = 0; at < bytes; at += kTileBytes) {
    _tile_loadd(4, a + at, 64);
    _tile_loadd(6, b + at, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kTwoColumns) {
      _tile_loadd(7, b + bytes + at, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kTwoRows) {
      _tile_loadd(5, a + bytes + at, 64);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kTwoColumns)
        _tile_dpbf16ps(3, 5, 7);
    }
  }
  constexpr int kStride = 32 * sizeof(float);
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + 16, kStride);
  _tile_stored(2, sums + 16 * 32, kStride);
  _tile_stored(3, sums + 16 * 32 + 16, kStride);
}

PEER_TILES void writeSums(const Block &block, int64_t row, int64_t column, const float *sums, const float *exponentsA,
                          const float *exponentsB) {
  int64_t rows = std::min<int64_t>(32, block.rows - row);
  __m512 alpha = _mm512_set1_ps(block.alpha), beta = _mm512_set1_ps(block.beta);
  for (int64_t j = 0; j < 32 && column + j < block.columns; j += 16) {
    __mmask16 present = maskOf(block.columns - column - j);
    __m512 columnExponents = _mm512_load_ps(exponentsB + column + j);
    for (int64_t i = 0; i < rows; ++i) {
      float *to = block.c + (row + i) * block.ldc + column + j;
      __m512 exponents = _mm512_add_ps(columnExponents, _mm512_set1_ps(exponentsA[row + i]));
      __m512 sum = _mm512_mul_ps(_mm512_scalef_ps(_mm512_load_ps(sums + 32 * i + j), exponents), alpha);
      if (block.beta != 0)
        sum = _mm512_fmadd_ps(beta, _mm512_maskz_loadu_ps(present, to), sum);
      _mm512_mask_storeu_ps(to, present, sum);
    }
  }
}

/// Tiles of 16 rows and 64 bytes, all eight.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

PEER_TILES void multiplyPacked(const Block &block, const Tiles &a, const Tiles &b) {
  alignas(64) float sums[32 * 32];
  int64_t bytes = panelBytes(block.depth);
  TileConfiguration configuration;
  _tile_loadconfig(&configuration);
  for (int64_t column = 0; column < block.columns; column += 32)
    for (int64_t row = 0; row < block.rows; row += 32) {
      bool twoRows = block.rows - row > kLines, twoColumns = block.columns - column > kLines;
      auto multiply = twoRows      ? twoColumns ? multiplyPanels<true, true> : multiplyPanels<true, false>
                      : twoColumns ? multiplyPanels<false, true>
                                   : multiplyPanels<false, false>;
      multiply(a.bytes + row / kLines * bytes, b.bytes + column / kLines * bytes, bytes, sums);
      writeSums(block, row, column, sums, a.exponents, b.exponents);
    }
  _tile_release();
}

/// Packed parts of both operands.
struct PackedScratch {
  alignas(64) uint8_t a[kRows * kDepth * 2], b[kDepth * kColumns * 2];
  alignas(64) float exponentsA[kRows], exponentsB[kColumns];
  Tiles left() { return {a, exponentsA}; }
  Tiles right() { return {b, exponentsB}; }
};
PackedScratch &packedScratch() {
  static thread_local auto instance = std::make_unique_for_overwrite<PackedScratch>();
  return *instance;
}
#endif

void forBlocks(int64_t size, int64_t most, auto body) {
  for (int64_t at = 0; at < size; at += most)
    body(at, std::min(most, size - at));
}

} // namespace

void peer_rt_sgemm_bf16(int64_t transA, int64_t transB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                        int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
  if (k <= 0)
    return peer_rt_sgemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  Matrix left{a, lda, transA != 0}, right{b, ldb, transB != 0};
  forBlocks(k, kDepth, [&](int64_t depth, int64_t depths) {
    forBlocks(m, kRows, [&](int64_t row, int64_t rows) {
      Matrix partOfA = left.from(row, depth);
#ifdef __x86_64__
      bool tiles = hasTiles() && pack(partOfA, !left.transposed, rows, depths, false, packedScratch().left());
#endif
      forBlocks(n, kColumns, [&](int64_t column, int64_t columns) {
        Block block{partOfA,
                    right.from(depth, column),
                    rows,
                    columns,
                    depths,
                    alpha,
                    depth == 0 ? beta : 1,
                    c + row * ldc + column,
                    ldc};
#ifdef __x86_64__
        if (tiles && pack(block.b, right.transposed, columns, depths, true, packedScratch().right()))
          return multiplyPacked(block, packedScratch().left(), packedScratch().right());
#endif
        multiplyCopies(block);
      });
    });
  });
}
