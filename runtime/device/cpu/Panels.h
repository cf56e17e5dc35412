// Products in f32 by vectors of one kind. Included by one file for each kind: what a function is compiled for is no parameter of a template. That file
// defines PEER_VECTORS, the attribute of such functions, and Vectors:
//
//   Vector, kLanes            so many f32
//   Lanes, lanesOf(count)     the first `count` lanes, all of them from kLanes on
//   load, store               with Lanes or without: only those are touched, others are loaded as zeros
//   broadcast, multiply, fma  arithmetic
//   transpose(rows)           kLanes vectors
//   kRows, kColumns           sums that registers hold: rows of A, vectors of B
//   kDepth                    how deep a panel is
//
// A panel is kColumns vectors of columns of B, walked for kRows rows of A at a time with all their sums in registers. The first rows copy the panel
// while they multiply, so that the others read it from one place in L1 or L2: packing costs no pass of its own. A is read where it lies, unless a
// step in depth is a long way there.
#pragma once

#include "Slab.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace peer::runtime {
namespace {

using Vector = Vectors::Vector;
using Lanes = Vectors::Lanes;
constexpr int64_t kLanes = Vectors::kLanes;

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
  /// Those of the panel's last vector.
  Lanes last;
  /// Sums begin with `begin` C, and become alpha sums + end C.
  float begin, alpha, end;
};

template <int R, int N, bool kCopy>
PEER_VECTORS void multiplyPart(const Part &part) {
  Vector sums[R][N];
  auto given = [&](int r, int n) PEER_VECTORS {
    const float *at = part.c + r * part.ldc + n * kLanes;
    return n == N - 1 ? Vectors::load(at, part.last) : Vectors::load(at);
  };
  Vector begin = Vectors::broadcast(part.begin);
#pragma unroll
  for (int r = 0; r < R; ++r)
#pragma unroll
    for (int n = 0; n < N; ++n)
      sums[r][n] = part.begin == 0 ? Vectors::broadcast(0) : Vectors::multiply(begin, given(r, n));
  const float *a = part.a, *b = part.b;
  float *copy = part.copy;
  for (int64_t k = 0; k < part.depth; ++k, a += part.depthStep, b += part.ldb, copy += N * kLanes) {
    Vector row[N];
#pragma unroll
    for (int n = 0; n < N; ++n) {
      const float *at = b + n * kLanes;
      if (kCopy)
        _mm_prefetch(reinterpret_cast<const char *>(at + kAhead * part.ldb), _MM_HINT_T0);
      row[n] = kCopy && n == N - 1 ? Vectors::load(at, part.last) : Vectors::load(at);
      if (kCopy)
        Vectors::store(copy + n * kLanes, row[n]);
    }
#pragma unroll
    for (int r = 0; r < R; ++r) {
      Vector factor = Vectors::broadcast(a[r * part.rowStep]);
#pragma unroll
      for (int n = 0; n < N; ++n)
        sums[r][n] = Vectors::fma(factor, row[n], sums[r][n]);
    }
  }
  if (part.alpha != 1 || part.end != 0) {
    Vector alpha = Vectors::broadcast(part.alpha), end = Vectors::broadcast(part.end);
#pragma unroll
    for (int r = 0; r < R; ++r)
#pragma unroll
      for (int n = 0; n < N; ++n) {
        sums[r][n] = Vectors::multiply(alpha, sums[r][n]);
        if (part.end != 0)
          sums[r][n] = Vectors::fma(end, given(r, n), sums[r][n]);
      }
  }
#pragma unroll
  for (int r = 0; r < R; ++r)
#pragma unroll
    for (int n = 0; n < N; ++n) {
      float *at = part.c + r * part.ldc + n * kLanes;
      if (n == N - 1)
        Vectors::store(at, sums[r][n], part.last);
      else
        Vectors::store(at, sums[r][n]);
    }
}

using MultiplyPart = void (*)(const Part &);
template <bool kCopy, int... kSizes>
constexpr auto table(std::integer_sequence<int, kSizes...>) {
  return std::array<MultiplyPart, sizeof...(kSizes)>{
      multiplyPart<kSizes / Vectors::kColumns + 1, kSizes % Vectors::kColumns + 1, kCopy>...};
}
/// By rows and vectors.
MultiplyPart multiplierOf(int64_t rows, int64_t vectors, bool copy) {
  constexpr auto kSizes = std::make_integer_sequence<int, Vectors::kRows * Vectors::kColumns>();
  static constexpr std::array kPlain = table<false>(kSizes), kCopying = table<true>(kSizes);
  return (copy ? kCopying : kPlain)[(rows - 1) * Vectors::kColumns + vectors - 1];
}

/// Memory of a thread, kept for the next product.
struct Scratch {
  alignas(64) float panel[Vectors::kDepth * Vectors::kColumns * kLanes], rows[kSlabRows * Vectors::kDepth + kLanes];
};
Scratch &scratch() {
  static thread_local auto instance = std::make_unique_for_overwrite<Scratch>();
  return *instance;
}

/// B lies transposed: columns are rows.
PEER_VECTORS void copyTransposed(const float *b, int64_t ldb, int64_t columns, int64_t depth, int64_t width,
                                 float *to) {
  for (int64_t j = 0; j < columns; j += kLanes)
    for (int64_t k = 0; k < depth; k += kLanes) {
      Vector rows[kLanes];
      Lanes present = Vectors::lanesOf(depth - k);
      for (int64_t i = 0; i < kLanes; ++i)
        rows[i] = j + i < columns ? Vectors::load(b + (j + i) * ldb + k, present) : Vectors::broadcast(0);
      Vectors::transpose(rows);
      for (int64_t i = 0; i < std::min(kLanes, depth - k); ++i)
        Vectors::store(to + (k + i) * width + j, rows[i]);
    }
}

/// A lies transposed: elements that are multiplied together are brought together. What a store writes beyond its rows is written over by the next.
PEER_VECTORS void copyColumns(const float *a, int64_t lda, const Cut &blocks, int64_t depth, float *to) {
  for (int64_t block = 0; block < blocks.parts; ++block) {
    int64_t from = blocks[block], rows = blocks[block + 1] - from;
    float *at = to + from * depth;
    Lanes present = Vectors::lanesOf(rows);
    for (int64_t k = 0; k < depth; ++k, at += rows) {
      _mm_prefetch(reinterpret_cast<const char *>(a + (k + 2 * kAhead) * lda + from), _MM_HINT_T0);
      Vectors::store(at, Vectors::load(a + k * lda + from, present));
    }
  }
}

PEER_VECTORS void multiplySlabBy(const Slab &slab) {
  float *panel = scratch().panel;
  Cut blocks(slab.rows, Vectors::kRows), panels((slab.columns + kLanes - 1) / kLanes, Vectors::kColumns);
  bool copyA = slab.a.transposed && slab.a.stride >= kLongRow;
  if (copyA)
    copyColumns(slab.a.data, slab.a.stride, blocks, slab.depth, scratch().rows);
  for (int64_t p = 0; p < panels.parts; ++p) {
    int64_t column = panels[p] * kLanes, vectors = panels[p + 1] - panels[p], width = vectors * kLanes;
    int64_t present = std::min(width, slab.columns - column);
    const float *b = slab.b.from(0, column).data;
    if (slab.b.transposed)
      copyTransposed(b, slab.b.stride, present, slab.depth, width, panel);
    for (int64_t block = 0; block < blocks.parts; ++block) {
      int64_t row = blocks[block], rows = blocks[block + 1] - row;
      bool given = !slab.b.transposed && block == 0;
      // One block needs no copy but of columns that are no whole vector.
      bool copy = given && (blocks.parts > 1 || present < width);
      Part part{.a = copyA ? scratch().rows + row * slab.depth : slab.a.from(row, 0).data,
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
                .last = Vectors::lanesOf(present - width + kLanes),
                .begin = slab.begin,
                .alpha = slab.alpha,
                .end = slab.end};
      multiplierOf(rows, vectors, copy)(part);
    }
  }
}

} // namespace
} // namespace peer::runtime
