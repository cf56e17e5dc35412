//===- Gate.cpp - gate and its gradient in vectors -----------------------===//

#include "Kernels.h"

#include "lowering/emit/ExpertMath.h"

using namespace mlir;
using namespace peer;

/// Softmax in three passes over a row that stays in cache.
static void emitSoftmax(LoopBuilder &b, Value val, Value weights, ArrayRef<Value> row, int64_t width) {
  Value size = b.dim(val, 2);
  auto score = [&](Value at, int64_t lanes) { return b.load(val, {row[0], row[1], at}, lanes); };
  Value highest = b.maxStrips(size, width, score);
  Value total = b.sumStrips(size, width, [&](Value at, int64_t lanes) {
    Value v = score(at, lanes), e = emitGateTerm(b, GateKind::Softmax, v, highest, emitIsNone(b, v));
    b.store(e, weights, {row[0], row[1], at});
    return e;
  });
  Value factor = emitSoftmaxFactor(b, total);
  b.strips(size, width, [&](Value at, int64_t lanes) {
    Value e = b.load(weights, {row[0], row[1], at}, lanes);
    b.store(b.mul(e, b.splat(factor, e.getType())), weights, {row[0], row[1], at});
  });
}

void cpu::emitGate(GateKind kind, Value val, Value weights, LoopBuilder &b, int64_t width) {
  nest(b, dims(b, val, 2), [&](ArrayRef<Value> row) {
    if (kind == GateKind::Softmax)
      return emitSoftmax(b, val, weights, row, width);
    b.strips(b.dim(val, 2), width, [&](Value at, int64_t lanes) {
      Value v = b.load(val, {row[0], row[1], at}, lanes);
      b.store(emitGateTerm(b, kind, v, /*highest=*/{}, emitIsNone(b, v)), weights, {row[0], row[1], at});
    });
  });
}

static void emitGateOp(GateOp op, LoopBuilder &b, const VectorOptions &options) {
  cpu::emitGate(op.getKind(), op.getVal(), op.getWeights(), b, options.width);
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
      Value result = emitGateGradient(b, op.getKind(), load(weights, at, lanes), load(dweights, at, lanes), mean,
                                      [&] { return load(op.getVal(), at, lanes); });
      b.store(result, dval, {row[0], row[1], at});
    });
  });
}

void cpu::addGate(LoopEmitters &emitters) {
  emitters.vectors<GateOp>({.emit = emitGateOp, .tileSizes = [](GateOp) { return tile({{"t", 64}}); }});
  emitters.vectors<GateGradOp>({.emit = emitGateGrad, .tileSizes = [](GateGradOp) { return tile({{"t", 64}}); }});
}
