// A panel is up to 48 columns of B, walked for 8 rows of A at a time with all their sums in registers: 24 of the 32, 3 for B and one for A. The first
// rows copy the panel while they multiply, so that the others read it from one place in L1 or L2: packing costs no pass of its own. A is read where it
// lies, unless a step in depth is a long way there.

#include "PanelProduct.h"

#include "Avx512.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace peer::runtime {

#ifdef __x86_64__
namespace {

constexpr int kMostRows = 8, kMostVectors = 3, kLanes = 16;
/// How deep a panel is, and how many rows of A it meets: they and the panel, 700 KB, stay in L2.
constexpr int64_t kDepth = 1024, kRows = 128;
/// Steps in depth between a prefetch of what is copied and its use: rows lie too far apart for the hardware to foresee them.
constexpr int64_t kAhead = 8;
/// Rows of a transposed A that are so long lie too far apart to be walked for each panel.
constexpr int64_t kLongRow = 256;

/// Some rows by a panel; elements of A are `rowStep` and `depthStep` apart.
struct Part {
  const float *a;
  int64_t rowStep, depthStep;
  const float *b;
  int64_t ldb, depth;
  /// Where the panel is copied to.
  float *copy;
  float *c;
  int64_t ldc;
  /// Lanes of the panel's last vector.
  __mmask16 last;
  /// Sums begin with `begin` C, and become alpha sums + end C.
  float begin, alpha, end;
};

/// Parts of nearly equal sizes, of which none is larger than `most`.
struct Cut {
  int64_t size, parts;
  Cut(int64_t size, int64_t most) : size(size), parts((size + most - 1) / most) {}
  /// Where a part begins.
  int64_t operator[](int64_t part) const { return size * part / parts; }
};

template <int R, int N, bool kCopy>
PEER_AVX512 void multiply(const Part &part) {
  __m512 sums[R][N];
  auto mask = [&](int n) PEER_AVX512 { return n == N - 1 ? part.last : static_cast<__mmask16>(0xffff); };
  auto given = [&](int r, int n)
                   PEER_AVX512 { return _mm512_maskz_loadu_ps(mask(n), part.c + r * part.ldc + n * kLanes); };
  __m512 begin = _mm512_set1_ps(part.begin);
#pragma unroll
  for (int r = 0; r < R; ++r)
#pragma unroll
    for (int n = 0; n < N; ++n)
      sums[r][n] = part.begin == 0 ? _mm512_setzero_ps() : _mm512_mul_ps(begin, given(r, n));
  const float *a = part.a, *b = part.b;
  float *copy = part.copy;
  for (int64_t k = 0; k < part.depth; ++k, a += part.depthStep, b += part.ldb, copy += N * kLanes) {
    __m512 row[N];
#pragma unroll
    for (int n = 0; n < N; ++n) {
      if (kCopy)
        _mm_prefetch(reinterpret_cast<const char *>(b + kAhead * part.ldb + n * kLanes), _MM_HINT_T0);
      row[n] = _mm512_maskz_loadu_ps(mask(n), b + n * kLanes);
      if (kCopy)
        _mm512_store_ps(copy + n * kLanes, row[n]);
    }
#pragma unroll
    for (int r = 0; r < R; ++r) {
      __m512 factor = _mm512_set1_ps(a[r * part.rowStep]);
#pragma unroll
      for (int n = 0; n < N; ++n)
        sums[r][n] = _mm512_fmadd_ps(factor, row[n], sums[r][n]);
    }
  }
  if (part.alpha != 1 || part.end != 0) {
    __m512 alpha = _mm512_set1_ps(part.alpha), end = _mm512_set1_ps(part.end);
#pragma unroll
    for (int r = 0; r < R; ++r)
#pragma unroll
      for (int n = 0; n < N; ++n) {
        sums[r][n] = _mm512_mul_ps(alpha, sums[r][n]);
        if (part.end != 0)
          sums[r][n] = _mm512_fmadd_ps(end, given(r, n), sums[r][n]);
      }
  }
#pragma unroll
  for (int r = 0; r < R; ++r)
#pragma unroll
    for (int n = 0; n < N; ++n)
      _mm512_mask_storeu_ps(part.c + r * part.ldc + n * kLanes, mask(n), sums[r][n]);
}

using Multiply = void (*)(const Part &);
template <bool kCopy, int... kSizes>
constexpr auto table(std::integer_sequence<int, kSizes...>) {
  return std::array<Multiply, sizeof...(kSizes)>{
      multiply<kSizes / kMostVectors + 1, kSizes % kMostVectors + 1, kCopy>...};
}
/// By rows and vectors.
void multiplyPart(int64_t rows, int64_t vectors, bool copy, const Part &part) {
  constexpr auto kSizes = std::make_integer_sequence<int, kMostRows * kMostVectors>();
  static constexpr std::array kPlain = table<false>(kSizes), kCopying = table<true>(kSizes);
  (copy ? kCopying : kPlain)[(rows - 1) * kMostVectors + vectors - 1](part);
}

/// Memory of a thread, kept for the next product.
struct Scratch {
  alignas(64) float panel[kDepth * kMostVectors * kLanes], rows[kRows * kDepth];
};
Scratch &scratch() {
  static thread_local auto instance = std::make_unique_for_overwrite<Scratch>();
  return *instance;
}

/// B lies transposed: columns are rows.
PEER_AVX512 void copyTransposed(const float *b, int64_t ldb, int64_t columns, int64_t depth, int64_t width, float *to) {
  for (int64_t j = 0; j < columns; j += kLanes)
    for (int64_t k = 0; k < depth; k += kLanes) {
      __m512i rows[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        rows[i] = _mm512_maskz_loadu_epi32(j + i < columns ? maskOf(depth - k) : 0, b + (j + i) * ldb + k);
      transpose(rows);
      for (int64_t i = 0; i < std::min<int64_t>(kLanes, depth - k); ++i)
        _mm512_store_epi32(to + (k + i) * width + j, rows[i]);
    }
}

/// A lies transposed: elements that are multiplied together are brought together.
PEER_AVX512 void copyColumns(const float *a, int64_t lda, const Cut &blocks, int64_t depth, float *to) {
  for (int64_t block = 0; block < blocks.parts; ++block) {
    int64_t from = blocks[block], rows = blocks[block + 1] - from;
    float *at = to + from * depth;
    __mmask16 lanes = maskOf(rows);
    for (int64_t k = 0; k < depth; ++k, at += rows) {
      _mm_prefetch(reinterpret_cast<const char *>(a + (k + 2 * kAhead) * lda + from), _MM_HINT_T0);
      _mm512_mask_storeu_ps(at, lanes, _mm512_maskz_loadu_ps(lanes, a + k * lda + from));
    }
  }
}

struct Matrix {
  const float *data;
  int64_t stride;
  bool transposed;

  const float *at(int64_t row, int64_t column) const {
    return data + (transposed ? column * stride + row : row * stride + column);
  }
};

/// What is multiplied at once: up to kRows rows, kDepth deep, by all columns of B.
struct Slab {
  Matrix a, b;
  int64_t rows, columns, depth;
  float *c;
  int64_t ldc;
  float begin, alpha, end;
};

PEER_AVX512 void multiplySlab(const Slab &slab) {
  float *panel = scratch().panel;
  Cut blocks(slab.rows, kMostRows), panels((slab.columns + kLanes - 1) / kLanes, kMostVectors);
  bool copyA = slab.a.transposed && slab.a.stride >= kLongRow;
  if (copyA)
    copyColumns(slab.a.data, slab.a.stride, blocks, slab.depth, scratch().rows);
  for (int64_t p = 0; p < panels.parts; ++p) {
    int64_t column = panels[p] * kLanes, vectors = panels[p + 1] - panels[p], width = vectors * kLanes;
    int64_t present = std::min(width, slab.columns - column);
    const float *b = slab.b.at(0, column);
    if (slab.b.transposed)
      copyTransposed(b, slab.b.stride, present, slab.depth, width, panel);
    for (int64_t block = 0; block < blocks.parts; ++block) {
      int64_t row = blocks[block], rows = blocks[block + 1] - row;
      bool given = !slab.b.transposed && block == 0;
      Part part{.a = copyA ? scratch().rows + row * slab.depth : slab.a.at(row, 0),
                .rowStep = slab.a.transposed ? 1 : slab.a.stride,
                .depthStep = copyA               ? rows
                             : slab.a.transposed ? slab.a.stride
                                                 : 1,
                .b = given ? b : panel,
                .ldb = given ? slab.b.stride : width,
                .depth = slab.depth,
                .copy = panel,
                .c = slab.c + row * slab.ldc + column,
                .ldc = slab.ldc,
                .last = maskOf(present - width + kLanes),
                .begin = slab.begin,
                .alpha = slab.alpha,
                .end = slab.end};
      multiplyPart(rows, vectors, given && blocks.parts > 1, part);
    }
  }
}

} // namespace

bool multiplyInPanels(bool transA, bool transB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                      int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
  static const bool has = __builtin_cpu_supports("avx512f");
  // C holds sums between two depths: no place for what is added to them once they are multiplied.
  if (!has || (alpha != 1 && beta != 0 && k > kDepth))
    return false;
  Matrix left{a, lda, transA}, right{b, ldb, transB};
  Cut depths(k, kDepth), slabs(m, kRows);
  for (int64_t d = 0; d < depths.parts; ++d)
    for (int64_t s = 0; s < slabs.parts; ++s) {
      int64_t row = slabs[s], deep = depths[d];
      multiplySlab({.a = {left.at(row, deep), lda, transA},
                    .b = {right.at(deep, 0), ldb, transB},
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
#else
bool multiplyInPanels(bool, bool, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t,
                      float, float *, int64_t) {
  return false;
}
#endif

} // namespace peer::runtime
