//===- Mix.cpp - plain loops of mix and its gradient ---------------------===//

#include "Loops.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;
using arith::CmpIPredicate;

/// pool[row, f, :] . buffer[token, :].
static Value dot(LoopBuilder &b, const StoredTable &pool, Value row, int64_t f, Value buffer, Value token) {
  return sum(b, b.index(pool.width),
             [&](Value d) { return b.mul(pool.load(b, {row, b.index(f)}, d, 1), b.load(buffer, {token, d})); });
}

/// buffer[token, :] += scale * pool[row, f, :].
static void addRow(LoopBuilder &b, Value scale, const StoredTable &pool, Value row, int64_t f, Value buffer,
                   Value token) {
  b.loop(pool.width, [&](Value d) {
    Value term = b.mul(scale, pool.load(b, {row, b.index(f)}, d, 1));
    b.store(b.add(b.load(buffer, {token, d}), term), buffer, {token, d});
  });
}

static void emitSelected(const MixOperands &op, LoopBuilder &b) {
  Value x = op.x, idx = op.idx, y = op.y;
  StoredTable pool = op.table();
  int64_t rows = op.rowsPerExpert, vectors = b.staticDim(op.pool, 1);
  auto scaled = [&](Value value, Value row, int64_t f) {
    return pool.hasVectorScales() ? b.mul(value, pool.scaleOf(b, {row, b.index(f)})) : value;
  };
  fillZero(b, y);
  nest(b, dims(b, idx, 3), [&](ArrayRef<Value> at) {
    Value expert = b.load(idx, at), token = at[0];
    b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
      Value firstRow = b.mul(b.toIndex(expert), b.index(rows));
      b.loop(rows, [&](Value j) {
        Value row = b.add(firstRow, j), weight = scaled(b.load(op.weights, at), row, vectors - 1);
        Values dots;
        for (int64_t f = 0; f + 1 < vectors; ++f)
          dots.push_back(scaled(dot(b, pool, row, f, x, token), row, f));
        addRow(b, emitMixScale(b, op.activation, weight, dots), pool, row, vectors - 1, y, token);
      });
    });
  });
}

static void emitMix(MixOp op, LoopBuilder &b) { emitSelected(op, b); }
static void emitQuantizedMix(QuantizedMixOp op, LoopBuilder &b) { emitSelected(op, b); }

/// One row's part of the gradient: coefficients stored, dx added to; the row's term of dweights is returned.
static Value emitRowGradient(LoopBuilder &b, MixGradOp op, ArrayRef<Value> at, Value row, Value j) {
  Value x = op.getX(), dy = op.getDy(), dx = op.getDx(), coef = op.getCoef();
  StoredTable pool = MixOperands(op).table();
  Value token = at[0], weight = b.load(op.getWeights(), at);
  int64_t vectors = b.staticDim(pool.table, 1);
  Values dots;
  for (int64_t f = 0; f + 1 < vectors; ++f)
    dots.push_back(dot(b, pool, row, f, x, token));
  dots.push_back(dot(b, pool, row, vectors - 1, dy, token));
  MixGradient gradient = emitMixGradient(b, op.getActivation(), weight, dots);
  for (auto [f, value] : llvm::enumerate(gradient.coefs)) {
    b.store(value, coef, {at[0], at[1], at[2], j, b.index(f)});
    if (int64_t(f) + 1 < vectors)
      addRow(b, value, pool, row, f, dx, token);
  }
  return gradient.ofWeight;
}

static void emitMixGrad(MixGradOp op, LoopBuilder &b) {
  Value idx = op.getIdx(), dweights = op.getDweights();
  fillZero(b, op.getDx());
  fillZero(b, op.getCoef());
  Value rows = b.index(op.getRowsPerExpert());
  nest(b, dims(b, idx, 3), [&](ArrayRef<Value> at) {
    Value expert = b.load(idx, at);
    b.ifThen(
        b.cmp(CmpIPredicate::sge, expert, b.i32(0)),
        [&] {
          Value firstRow = b.mul(b.toIndex(expert), rows);
          Value dweight = sum(b, rows, [&](Value j) { return emitRowGradient(b, op, at, b.add(firstRow, j), j); });
          b.store(dweight, dweights, at);
        },
        [&] { b.store(b.f32(0), dweights, at); });
  });
}

void loops::addMix(LoopEmitters &emitters) {
  emitters.loops<MixOp>(emitMix);
  emitters.loops<QuantizedMixOp>(emitQuantizedMix);
  emitters.loops<MixGradOp>(emitMixGrad);
}
