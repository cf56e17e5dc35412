//===- Loss.cpp - activation, cross entropy, mean ------------------------===//

#include "Emit.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

/// Walks all elements of a `T x D` buffer.
static void forElements(LoopBuilder &b, Value buffer, int64_t width,
                        llvm::function_ref<void(ValueRange at, int64_t lanes)> body) {
  b.loop(b.dim(buffer, 0),
         [&](Value t) { b.strips(b.dim(buffer, 1), width, [&](Value at, int64_t lanes) { body({t, at}, lanes); }); });
}

static void emit(LoopBuilder &b, ActivationOp op, int64_t width) {
  Value x = op.getX(), y = op.getY();
  forElements(b, x, width, [&](ValueRange at, int64_t lanes) {
    b.store(emitActivation(b, op.getKind(), b.load(x, at, lanes)), y, at);
  });
}

static void emit(LoopBuilder &b, ActivationGradOp op, int64_t width) {
  Value x = op.getX(), dy = op.getDy(), dx = op.getDx();
  forElements(b, x, width, [&](ValueRange at, int64_t lanes) {
    Value slope = emitActivationGrad(b, op.getKind(), b.load(x, at, lanes));
    b.store(b.mul(b.load(dy, at, lanes), slope), dx, at);
  });
}

static Value emitRowMax(LoopBuilder &b, Value logits, Value t, int64_t width) {
  return b.maxStrips(b.dim(logits, 1), width, [&](Value at, int64_t lanes) { return b.load(logits, {t, at}, lanes); });
}

/// exp(logits - highest), strip by strip.
static Value emitShiftedExp(LoopBuilder &b, Value logits, Value highest, ValueRange at, int64_t lanes) {
  Value v = b.load(logits, at, lanes);
  return b.exp(b.sub(v, b.splat(highest, v.getType())));
}

static void emit(LoopBuilder &b, CrossEntropyOp op, int64_t width) {
  Value logits = op.getLogits(), loss = op.getLoss();
  b.loop(b.dim(logits, 0), [&](Value t) {
    Value highest = emitRowMax(b, logits, t, width);
    Value sum = b.sumStrips(b.dim(logits, 1), width, [&](Value at, int64_t lanes) {
      return emitShiftedExp(b, logits, highest, {t, at}, lanes);
    });
    // The difference to the maximum first: both terms are then as small as the loss.
    Value target = b.load(logits, {t, b.toIndex(b.load(op.getTargets(), t))});
    b.store(b.add(b.log(sum), b.sub(highest, target)), loss, t);
  });
}

static void emit(LoopBuilder &b, CrossEntropyGradOp op, int64_t width) {
  Value logits = op.getLogits(), dlogits = op.getDlogits(), size = b.dim(logits, 1);
  b.loop(b.dim(logits, 0), [&](Value t) {
    Value highest = emitRowMax(b, logits, t, width);
    Value sum = b.sumStrips(size, width, [&](Value at, int64_t lanes) {
      Value e = emitShiftedExp(b, logits, highest, {t, at}, lanes);
      b.store(e, dlogits, {t, at});
      return e;
    });
    Value dloss = b.load(op.getDloss(), t);
    Value scale = b.div(dloss, sum);
    b.strips(size, width, [&](Value at, int64_t lanes) {
      Value e = b.load(dlogits, {t, at}, lanes);
      b.store(b.mul(e, b.splat(scale, e.getType())), dlogits, {t, at});
    });
    Value target = b.toIndex(b.load(op.getTargets(), t));
    b.store(b.sub(b.load(dlogits, {t, target}), dloss), dlogits, {t, target});
  });
}

static void emit(LoopBuilder &b, MeanOp op, int64_t width) {
  Value x = op.getX(), size = b.dim(x, 0);
  Value sum = b.sumStrips(size, width, [&](Value at, int64_t lanes) { return b.load(x, at, lanes); });
  // An empty sum is 0, and so is its mean.
  b.store(b.div(sum, b.max(emitCount(b, size), b.f32(1))), op.getMean(), {});
}

static void emit(LoopBuilder &b, MeanGradOp op, int64_t width) {
  Value dx = op.getDx(), size = b.dim(dx, 0);
  Value share = b.div(b.load(op.getDmean(), {}), b.max(emitCount(b, size), b.f32(1)));
  b.strips(size, width, [&](Value at, int64_t lanes) { b.store(b.splat(share, b.floats(lanes)), dx, at); });
}

void nn::addLoss(LoopEmitters &emitters) {
  emitters.everyWidth<ActivationOp>({.emit = emit, .tileSizes = tokenTiles<tuning::kActivationTokens>});
  emitters.everyWidth<ActivationGradOp>({.emit = emit, .tileSizes = tokenTiles<tuning::kActivationTokens>});
  emitters.everyWidth<CrossEntropyOp>({.emit = emit, .tileSizes = [](CrossEntropyOp) { return tile({{"t", 32}}); }});
  emitters.everyWidth<CrossEntropyGradOp>(
      {.emit = emit, .tileSizes = [](CrossEntropyGradOp) { return tile({{"t", 32}}); }});
  emitters.everyWidth<MeanOp>({.emit = emit});
  emitters.everyWidth<MeanGradOp>({.emit = emit});
}
