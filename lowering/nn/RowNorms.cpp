//===- RowNorms.cpp - norms over the last dimension, and their dx --------===//
//
// A row is read two or three times; it stays in the first-level cache meanwhile.
//
//===----------------------------------------------------------------------===//

#include "Emit.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

namespace {

/// One row of a `T x D` buffer, loaded strip by strip.
struct Row {
  LoopBuilder &b;
  Value buffer, t;
  Value load(Value at, int64_t lanes) const { return b.load(buffer, {t, at}, lanes); }
};

using Term = llvm::function_ref<Value(Value at, int64_t lanes)>;

Value mean(LoopBuilder &b, Value size, int64_t width, Term term) {
  return b.div(b.sumStrips(size, width, term), nn::emitCount(b, size));
}

} // namespace

void nn::emitOnRows(LoopBuilder &b, RMSNormOp op, int64_t width) {
  Value x = op.getX(), weight = op.getWeight(), y = op.getY();
  Value size = b.dim(x, 1);
  double epsilon = op.getEpsilon().convertToFloat();
  b.rows(b.dim(x, 0), [&](Value t) {
    Row row{b, x, t};
    Value square = mean(b, size, width, [&](Value at, int64_t lanes) {
      Value v = row.load(at, lanes);
      return b.mul(v, v);
    });
    Value rstd = emitReciprocalRoot(b, square, epsilon);
    b.strips(size, width, [&](Value at, int64_t lanes) {
      Value v = row.load(at, lanes);
      b.store(b.mul(b.mul(v, b.splat(rstd, v.getType())), b.load(weight, at, lanes)), y, {t, at});
    });
  });
}

// dx = rstd * (g - xhat * mean(g xhat)) with g = dy w, and mean(g xhat) = rstd * mean(g x).
void nn::emitOnRows(LoopBuilder &b, RMSNormGradOp op, int64_t width) {
  Value x = op.getX(), weight = op.getWeight(), dx = op.getDx(), rstds = op.getRstd();
  Value size = b.dim(x, 1);
  double epsilon = op.getEpsilon().convertToFloat();
  b.rows(b.dim(x, 0), [&](Value t) {
    Row row{b, x, t}, dy{b, op.getDy(), t};
    Value square = mean(b, size, width, [&](Value at, int64_t lanes) {
      Value v = row.load(at, lanes);
      return b.mul(v, v);
    });
    Value rstd = emitReciprocalRoot(b, square, epsilon);
    b.store(rstd, rstds, t);
    Value along = mean(b, size, width, [&](Value at, int64_t lanes) {
      return b.mul(b.mul(dy.load(at, lanes), b.load(weight, at, lanes)), row.load(at, lanes));
    });
    Value factor = b.neg(b.mul(b.mul(rstd, rstd), along));
    b.strips(size, width, [&](Value at, int64_t lanes) {
      Value v = row.load(at, lanes);
      Value g = b.mul(dy.load(at, lanes), b.load(weight, at, lanes));
      Value inner = b.fma(v, b.splat(factor, v.getType()), g);
      b.store(b.mul(inner, b.splat(rstd, v.getType())), dx, {t, at});
    });
  });
}

/// Mean and 1 / standard deviation of a row, the mean taken off before squaring.
static std::pair<Value, Value> emitMoments(LoopBuilder &b, Row row, Value size, int64_t width, double epsilon) {
  Value center = mean(b, size, width, [&](Value at, int64_t lanes) { return row.load(at, lanes); });
  Value variance = mean(b, size, width, [&](Value at, int64_t lanes) {
    Value v = row.load(at, lanes);
    Value d = b.sub(v, b.splat(center, v.getType()));
    return b.mul(d, d);
  });
  return {center, nn::emitReciprocalRoot(b, variance, epsilon)};
}

static Value emitNormalized(LoopBuilder &b, Value v, Value center, Value rstd) {
  return b.mul(b.sub(v, b.splat(center, v.getType())), b.splat(rstd, v.getType()));
}

void nn::emitOnRows(LoopBuilder &b, LayerNormOp op, int64_t width) {
  Value x = op.getX(), weight = op.getWeight(), bias = op.getBias(), y = op.getY();
  Value size = b.dim(x, 1);
  b.rows(b.dim(x, 0), [&](Value t) {
    Row row{b, x, t};
    auto [center, rstd] = emitMoments(b, row, size, width, op.getEpsilon().convertToFloat());
    b.strips(size, width, [&, center = center, rstd = rstd](Value at, int64_t lanes) {
      Value xhat = emitNormalized(b, row.load(at, lanes), center, rstd);
      b.store(b.fma(xhat, b.load(weight, at, lanes), b.load(bias, at, lanes)), y, {t, at});
    });
  });
}

// dx = rstd * (g - mean(g) - xhat * mean(g xhat)) with g = dy w.
void nn::emitOnRows(LoopBuilder &b, LayerNormGradOp op, int64_t width) {
  Value x = op.getX(), weight = op.getWeight();
  Value dx = op.getDx(), means = op.getMean(), rstds = op.getRstd();
  Value size = b.dim(x, 1);
  b.rows(b.dim(x, 0), [&](Value t) {
    Row row{b, x, t}, dy{b, op.getDy(), t};
    auto [center, rstd] = emitMoments(b, row, size, width, op.getEpsilon().convertToFloat());
    b.store(center, means, t);
    b.store(rstd, rstds, t);
    auto gradient = [&](Value at, int64_t lanes) { return b.mul(dy.load(at, lanes), b.load(weight, at, lanes)); };
    Value gMean = mean(b, size, width, gradient);
    Value along = mean(b, size, width, [&, center = center, rstd = rstd](Value at, int64_t lanes) {
      return b.mul(gradient(at, lanes), emitNormalized(b, row.load(at, lanes), center, rstd));
    });
    Value factor = b.neg(along);
    b.strips(size, width, [&, center = center, rstd = rstd](Value at, int64_t lanes) {
      Value xhat = emitNormalized(b, row.load(at, lanes), center, rstd);
      Type type = xhat.getType();
      Value inner = b.fma(xhat, b.splat(factor, type), b.sub(gradient(at, lanes), b.splat(gMean, type)));
      b.store(b.mul(inner, b.splat(rstd, type)), dx, {t, at});
    });
  });
}

void nn::addRowNorms(LoopEmitters &emitters) {
  emitters.everyWidth<RMSNormOp>({.emit = emitOnRows, .tileSizes = tokenTiles<tuning::kNormTokens>});
  emitters.everyWidth<RMSNormGradOp>({.emit = emitOnRows, .tileSizes = tokenTiles<tuning::kNormTokens>});
  emitters.everyWidth<LayerNormOp>({.emit = emitOnRows, .tileSizes = tokenTiles<tuning::kNormTokens>});
  emitters.everyWidth<LayerNormGradOp>({.emit = emitOnRows, .tileSizes = tokenTiles<tuning::kNormTokens>});
}
