//===- ColumnSums.cpp - sums over rows: weight gradients, statistics -----===//
//
// These ops are tiled over columns. Rows are walked outside and strips of columns inside, so that memory is read in
// order; the sums live in the output, which a tile keeps in the first-level cache.
//
//===----------------------------------------------------------------------===//

#include "Emit.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

/// Rows between a prefetch and the use.
static constexpr int64_t kRowsAhead = 16;

void nn::emitPrefetchLater(LoopBuilder &b, ArrayRef<Value> buffers, Value row, int64_t width) {
  if (width == 1)
    return;
  for (Value buffer : buffers) {
    Value later = b.min(b.add(row, b.index(kRowsAhead)), b.sub(b.dim(buffer, 0), b.index(1)));
    int64_t line = 512 / cast<MemRefType>(buffer.getType()).getElementTypeBitWidth();
    for (int64_t at = 0; at < b.staticDim(buffer, 1); at += line)
      b.prefetch(buffer, {later, b.index(at)});
  }
}

static void accumulate(LoopBuilder &b, Value term, Value sums, Value at, int64_t lanes) {
  b.store(b.add(b.load(sums, at, lanes), term), sums, at);
}

static void emit(LoopBuilder &b, RMSNormWeightGradOp op, int64_t width) {
  Value x = op.getX(), dy = op.getDy(), dweight = op.getDweight();
  emitZero(b, dweight, width);
  b.loop(b.dim(x, 0), [&](Value t) {
    emitPrefetchLater(b, {x, dy}, t, width);
    Value rstd = b.load(op.getRstd(), t);
    b.strips(b.dim(x, 1), width, [&](Value at, int64_t lanes) {
      Value v = b.load(x, {t, at}, lanes);
      Value xhat = b.mul(v, b.splat(rstd, v.getType()));
      accumulate(b, b.mul(b.load(dy, {t, at}, lanes), xhat), dweight, at, lanes);
    });
  });
}

static void emit(LoopBuilder &b, LayerNormWeightGradOp op, int64_t width) {
  Value x = op.getX(), dy = op.getDy(), dweight = op.getDweight(), dbias = op.getDbias();
  emitZero(b, dweight, width);
  emitZero(b, dbias, width);
  b.loop(b.dim(x, 0), [&](Value t) {
    emitPrefetchLater(b, {x, dy}, t, width);
    Value center = b.load(op.getMean(), t), rstd = b.load(op.getRstd(), t);
    b.strips(b.dim(x, 1), width, [&](Value at, int64_t lanes) {
      Value v = b.load(x, {t, at}, lanes), g = b.load(dy, {t, at}, lanes);
      Value xhat = b.mul(b.sub(v, b.splat(center, v.getType())), b.splat(rstd, v.getType()));
      accumulate(b, b.mul(g, xhat), dweight, at, lanes);
      accumulate(b, g, dbias, at, lanes);
    });
  });
}

static void emit(LoopBuilder &b, ColumnSumsOp op, int64_t width) {
  Value x = op.getX(), sums = op.getSums();
  emitZero(b, sums, width);
  b.loop(b.dim(x, 0), [&](Value t) {
    emitPrefetchLater(b, {x}, t, width);
    b.strips(b.dim(x, 1), width,
             [&](Value at, int64_t lanes) { accumulate(b, b.load(x, {t, at}, lanes), sums, at, lanes); });
  });
}

/// Multiplies the sums by a scalar.
static void scaleAll(LoopBuilder &b, Value sums, Value factor, int64_t width) {
  b.strips(b.dim(sums, 0), width, [&](Value at, int64_t lanes) {
    Value v = b.load(sums, at, lanes);
    b.store(b.mul(v, b.splat(factor, v.getType())), sums, at);
  });
}

// The mean first and then the squares about it: E[x^2] - E[x]^2 would cancel.
static void emit(LoopBuilder &b, BatchStatsOp op, int64_t width) {
  Value x = op.getX(), means = op.getMean(), variances = op.getVariance();
  Value rows = b.dim(x, 0), columns = b.dim(x, 1);
  // No row: the sums are zero, and a division by at least one keeps them so.
  Value reciprocal = b.div(b.f32(1), b.max(emitCount(b, rows), b.f32(1)));
  emitZero(b, means, width);
  emitZero(b, variances, width);
  b.loop(rows, [&](Value r) {
    emitPrefetchLater(b, {x}, r, width);
    b.strips(columns, width,
             [&](Value at, int64_t lanes) { accumulate(b, b.load(x, {r, at}, lanes), means, at, lanes); });
  });
  scaleAll(b, means, reciprocal, width);
  b.loop(rows, [&](Value r) {
    b.strips(columns, width, [&](Value at, int64_t lanes) {
      Value d = b.sub(b.load(x, {r, at}, lanes), b.load(means, at, lanes));
      accumulate(b, b.mul(d, d), variances, at, lanes);
    });
  });
  scaleAll(b, variances, reciprocal, width);
}

// rstd belongs to the column, so it multiplies the finished sum.
static void emit(LoopBuilder &b, BatchNormWeightGradOp op, int64_t width) {
  Value x = op.getX(), dy = op.getDy(), dweight = op.getDweight(), dbias = op.getDbias();
  emitZero(b, dweight, width);
  emitZero(b, dbias, width);
  b.loop(b.dim(x, 0), [&](Value r) {
    emitPrefetchLater(b, {x, dy}, r, width);
    b.strips(b.dim(x, 1), width, [&](Value at, int64_t lanes) {
      Value g = b.load(dy, {r, at}, lanes);
      Value d = b.sub(b.load(x, {r, at}, lanes), b.load(op.getMean(), at, lanes));
      accumulate(b, b.mul(g, d), dweight, at, lanes);
      accumulate(b, g, dbias, at, lanes);
    });
  });
  b.strips(b.dim(x, 1), width, [&](Value at, int64_t lanes) {
    Value rstd = emitReciprocalRoot(b, b.load(op.getVariance(), at, lanes), op.getEpsilon().convertToFloat());
    b.store(b.mul(b.load(dweight, at, lanes), rstd), dweight, at);
  });
}

void nn::addColumnSums(LoopEmitters &emitters) {
  emitters.everyWidth<RMSNormWeightGradOp>(
      {.emit = emit, .tileSizes = [](RMSNormWeightGradOp) { return tile({{"d", 64}}); }});
  emitters.everyWidth<LayerNormWeightGradOp>(
      {.emit = emit, .tileSizes = [](LayerNormWeightGradOp) { return tile({{"d", 64}}); }});
  emitters.everyWidth<ColumnSumsOp>({.emit = emit, .tileSizes = [](ColumnSumsOp) { return tile({{"d", 64}}); }});
  emitters.everyWidth<BatchStatsOp>({.emit = emit, .tileSizes = [](BatchStatsOp) { return tile({{"c", 32}}); }});
  emitters.everyWidth<BatchNormWeightGradOp>(
      {.emit = emit, .tileSizes = [](BatchNormWeightGradOp) { return tile({{"c", 32}}); }});
}
