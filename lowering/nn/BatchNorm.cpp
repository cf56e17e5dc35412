//===- BatchNorm.cpp - batch norm and its dx -----------------------------===//
//
// What belongs to a column is computed once per strip and kept in registers while the rows are walked. A strip is four
// vectors wide, so that each row gives several whole cache lines.
//
//===----------------------------------------------------------------------===//

#include "Emit.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

constexpr int64_t kVectorsPerStrip = 4;

static int64_t stripWidth(int64_t width) { return width == 1 ? 1 : width * kVectorsPerStrip; }

static void emit(LoopBuilder &b, BatchNormOp op, int64_t width) {
  Value x = op.getX(), y = op.getY();
  b.strips(b.dim(x, 1), stripWidth(width), [&](Value at, int64_t lanes) {
    Value rstd = emitReciprocalRoot(b, b.load(op.getVariance(), at, lanes), op.getEpsilon().convertToFloat());
    Value scale = b.mul(rstd, b.load(op.getWeight(), at, lanes));
    Value center = b.load(op.getMean(), at, lanes), bias = b.load(op.getBias(), at, lanes);
    b.loop(b.dim(x, 0),
           [&](Value r) { b.store(b.fma(b.sub(b.load(x, {r, at}, lanes), center), scale, bias), y, {r, at}); });
  });
}

static void emit(LoopBuilder &b, BatchNormGradOp op, int64_t width) {
  Value x = op.getX(), dy = op.getDy(), dx = op.getDx(), rows = b.dim(x, 0);
  b.strips(b.dim(x, 1), stripWidth(width), [&](Value at, int64_t lanes) {
    Value rstd = emitReciprocalRoot(b, b.load(op.getVariance(), at, lanes), op.getEpsilon().convertToFloat());
    Value scale = b.mul(rstd, b.load(op.getWeight(), at, lanes));
    if (!op.getBatchStatistics()) {
      b.loop(rows, [&](Value r) { b.store(b.mul(b.load(dy, {r, at}, lanes), scale), dx, {r, at}); });
      return;
    }
    // dx = scale * (dy - dbias / R - (x - mean) * rstd * dweight / R).
    Value count = b.splat(emitCount(b, rows), scale.getType());
    Value center = b.load(op.getMean(), at, lanes);
    Value shift = b.div(b.load(op.getDbias(), at, lanes), count);
    Value slope = b.neg(b.div(b.mul(rstd, b.load(op.getDweight(), at, lanes)), count));
    b.loop(rows, [&](Value r) {
      emitPrefetchLater(b, {x, dy}, r, width);
      Value d = b.sub(b.load(x, {r, at}, lanes), center);
      Value inner = b.fma(d, slope, b.sub(b.load(dy, {r, at}, lanes), shift));
      b.store(b.mul(inner, scale), dx, {r, at});
    });
  });
}

void nn::addBatchNorm(LoopEmitters &emitters) {
  emitters.everyWidth<BatchNormOp>({.emit = emit, .tileSizes = [](BatchNormOp) { return tile({{"r", 512}}); }});
  emitters.everyWidth<BatchNormGradOp>({.emit = emit, .tileSizes = [](BatchNormGradOp) { return tile({{"c", 32}}); }});
}
