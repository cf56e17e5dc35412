//===- CausalConv.cpp - causal convolutions of channels ------------------===//

#include "CausalConv.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

ConvStrip::ConvStrip(LoopBuilder &b, Value weight, Value at, int64_t lanes) : b(b), at(at), lanes(lanes) {
  for (int64_t k = 0, taps = b.staticDim(weight, 0); k < taps; ++k)
    weights.push_back(b.load(weight, {b.index(k), at}, lanes));
}

Value ConvStrip::take(Value rows, Value first, Value row, Value inside) {
  Value value = b.load(rows, {b.add(first, b.select(inside, row, b.index(0))), at}, lanes);
  return b.select(inside, value, b.f32(0, value.getType()));
}

SmallVector<Value> ConvStrip::takeBefore(Value rows, Value first, Value t) {
  SmallVector<Value> taken;
  int64_t taps = weights.size();
  for (int64_t k = 0; k < taps; ++k) {
    Value back = b.index(taps - 1 - k);
    taken.push_back(take(rows, first, b.sub(t, back), b.cmp(arith::CmpIPredicate::uge, t, back)));
  }
  return taken;
}

Value ConvStrip::emitRow(Value x, Value first, Value t) {
  Value sum = b.f32(0, b.floats(lanes));
  for (auto [weight, value] : llvm::zip(weights, takeBefore(x, first, t)))
    sum = b.fma(weight, value, sum);
  return sum;
}

Value ConvStrip::emitRowGrad(Value dy, Value first, Value t, Value context) {
  Value sum = b.f32(0, b.floats(lanes));
  int64_t taps = weights.size();
  for (int64_t k = taps - 1; k >= 0; --k) {
    Value row = b.add(t, b.index(taps - 1 - k));
    sum = b.fma(weights[k], take(dy, first, row, b.cmp(arith::CmpIPredicate::ult, row, context)), sum);
  }
  return sum;
}

SmallVector<Value> ConvStrip::emitWeightGrad(Value x, Value dy, Value first, Value context) {
  SmallVector<Value> zeros(weights.size(), b.f32(0, b.floats(lanes)));
  return b.loop(b.index(0), context, zeros, [&](Value t, ValueRange sums) {
    Value gradient = b.load(dy, {b.add(first, t), at}, lanes);
    SmallVector<Value> next;
    for (auto [value, sum] : llvm::zip(takeBefore(x, first, t), sums))
      next.push_back(b.fma(gradient, value, sum));
    return next;
  });
}

void ConvStrip::emitCached(Value x, Value cache, Value start, Value t, Value y) {
  int64_t taps = weights.size();
  Value position = b.add(start, t), capacity = b.index(taps);
  b.store(b.load(x, {t, at}, lanes), cache, {b.rem(position, capacity), at});
  Value sum = b.f32(0, b.floats(lanes));
  for (int64_t k = 0; k < taps; ++k) {
    // The row of the token k + 1 - taps further on, which is k + 1 further in the ring.
    Value inside = b.cmp(arith::CmpIPredicate::uge, position, b.index(taps - 1 - k));
    Value row = b.rem(b.add(position, b.index(k + 1)), capacity);
    sum = b.fma(weights[k], take(cache, b.index(0), row, inside), sum);
  }
  b.store(sum, y, {t, at});
}

void nn::forSequences(LoopBuilder &b, Value x, int64_t context,
                      llvm::function_ref<void(Value first, Value number)> body) {
  Value size = b.index(context);
  b.loop(b.div(b.dim(x, 0), size), [&](Value number) { body(b.mul(number, size), number); });
}

static void emit(LoopBuilder &b, CausalConvOp op, int64_t width) {
  int64_t context = op.getContextLength();
  forSequences(b, op.getX(), context, [&](Value first, Value) {
    b.strips(b.dim(op.getX(), 1), width, [&](Value at, int64_t lanes) {
      ConvStrip strip(b, op.getWeight(), at, lanes);
      b.loop(context, [&](Value t) { b.store(strip.emitRow(op.getX(), first, t), op.getY(), {b.add(first, t), at}); });
    });
  });
}

static void emit(LoopBuilder &b, CausalConvGradOp op, int64_t width) {
  int64_t context = op.getContextLength();
  Value end = b.index(context);
  forSequences(b, op.getX(), context, [&](Value first, Value number) {
    b.strips(b.dim(op.getX(), 1), width, [&](Value at, int64_t lanes) {
      ConvStrip strip(b, op.getWeight(), at, lanes);
      b.loop(end, [&](Value t) {
        b.store(strip.emitRowGrad(op.getDy(), first, t, end), op.getDx(), {b.add(first, t), at});
      });
      for (auto [k, sum] : llvm::enumerate(strip.emitWeightGrad(op.getX(), op.getDy(), first, end)))
        b.store(sum, op.getDweight(), {number, b.index(k), at});
    });
  });
}

static void emit(LoopBuilder &b, CachedCausalConvOp op, int64_t width) {
  Value start = b.toIndex(b.load(op.getPosition(), {}));
  b.strips(b.dim(op.getX(), 1), width, [&](Value at, int64_t lanes) {
    ConvStrip strip(b, op.getWeight(), at, lanes);
    b.loop(b.dim(op.getX(), 0), [&](Value t) { strip.emitCached(op.getX(), op.getCache(), start, t, op.getY()); });
  });
}

void nn::addCausalConv(LoopEmitters &emitters) {
  emitters.everyWidth<CausalConvOp>(
      {.emit = emit, .tileSizes = [](CausalConvOp) { return tile({{"s", 1}, {"d", 64}}); }});
  emitters.everyWidth<CausalConvGradOp>(
      {.emit = emit, .tileSizes = [](CausalConvGradOp) { return tile({{"s", 1}, {"d", 64}}); }});
  emitters.everyWidth<CachedCausalConvOp>({.emit = emit});
}
