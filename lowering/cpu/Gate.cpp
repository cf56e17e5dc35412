//===- Gate.cpp - gate and its gradient in vectors -----------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using arith::CmpFPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// `value` where something is selected, else 0.
static Value emitUnlessNone(LoopBuilder &b, Value score, Value value) {
  Value lowest = b.f32(-kInfinity, score.getType());
  return b.select(b.cmp(CmpFPredicate::OEQ, score, lowest), b.f32(0, value.getType()), value);
}

/// Softmax in three passes over a row that stays in cache.
static void emitSoftmax(LoopBuilder &b, Value val, Value weights, ArrayRef<Value> row, int64_t width) {
  Value size = b.dim(val, 2);
  auto score = [&](Value at, int64_t lanes) { return b.load(val, {row[0], row[1], at}, lanes); };
  Value highest = b.maxStrips(size, width, score);
  Value total = b.sumStrips(size, width, [&](Value at, int64_t lanes) {
    Value v = score(at, lanes);
    Value e = emitUnlessNone(b, v, b.exp(b.sub(v, b.splat(highest, v.getType()))));
    b.store(e, weights, {row[0], row[1], at});
    return e;
  });
  // Nothing selected: the row is zero already, and must not become 0 / 0.
  Value empty = b.cmp(CmpFPredicate::OEQ, total, b.f32(0));
  Value scale = b.select(empty, b.f32(0), b.div(b.f32(1), total));
  b.strips(size, width, [&](Value at, int64_t lanes) {
    Value e = b.load(weights, {row[0], row[1], at}, lanes);
    b.store(b.mul(e, b.splat(scale, e.getType())), weights, {row[0], row[1], at});
  });
}

static Value emitPointwise(LoopBuilder &b, GateKind kind, Value v) {
  if (kind == GateKind::Sigmoid)
    return emitSigmoid(b, v);
  if (kind == GateKind::Relu)
    return b.max(v, b.f32(0, v.getType()));
  return b.f32(1, v.getType());
}

static void emitGate(GateOp op, LoopBuilder &b, const VectorOptions &options) {
  Value val = op.getVal(), weights = op.getWeights();
  nest(b, dims(b, val, 2), [&](ArrayRef<Value> row) {
    if (op.getKind() == GateKind::Softmax)
      return emitSoftmax(b, val, weights, row, options.width);
    b.strips(b.dim(val, 2), options.width, [&](Value at, int64_t lanes) {
      Value v = b.load(val, {row[0], row[1], at}, lanes);
      b.store(emitUnlessNone(b, v, emitPointwise(b, op.getKind(), v)), weights, {row[0], row[1], at});
    });
  });
}

static void emitGateGrad(GateGradOp op, LoopBuilder &b, const VectorOptions &options) {
  Value weights = op.getWeights(), dweights = op.getDweights(), dval = op.getDval();
  nest(b, dims(b, dval, 2), [&](ArrayRef<Value> row) {
    Value size = b.dim(dval, 2), mean;
    auto load = [&](Value buffer, Value at, int64_t lanes) { return b.load(buffer, {row[0], row[1], at}, lanes); };
    if (op.getKind() == GateKind::Softmax)
      mean = b.sumStrips(size, options.width, [&](Value at, int64_t lanes) {
        return b.mul(load(weights, at, lanes), load(dweights, at, lanes));
      });
    b.strips(size, options.width, [&](Value at, int64_t lanes) {
      Value w = load(weights, at, lanes), dw = load(dweights, at, lanes), zero = b.f32(0, w.getType()), result = zero;
      if (op.getKind() == GateKind::Softmax)
        result = b.mul(w, b.sub(dw, b.splat(mean, dw.getType())));
      if (op.getKind() == GateKind::Sigmoid)
        result = b.mul(b.mul(dw, w), b.sub(b.f32(1, w.getType()), w));
      if (op.getKind() == GateKind::Relu)
        result = b.select(b.cmp(CmpFPredicate::OGT, load(op.getVal(), at, lanes), zero), dw, zero);
      b.store(result, dval, {row[0], row[1], at});
    });
  });
}

void cpu::addGate(LoopEmitters &emitters) {
  emitters.vectors<GateOp>({.emit = emitGate, .tileSizes = [](GateOp) { return tile({{"t", 64}}); }});
  emitters.vectors<GateGradOp>({.emit = emitGateGrad, .tileSizes = [](GateGradOp) { return tile({{"t", 64}}); }});
}
