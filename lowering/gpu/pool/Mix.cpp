//===- Mix.cpp - mix, quantized_mix and the token pass of their gradient -===//

#include "MixPass.h"
#include "lowering/emit/ExpertMath.h"
#include "lowering/gpu/Emitters.h"
#include "lowering/gpu/block/Scan.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

static const char *rejectSelected(const MixOperands &op) {
  return rejectMixPass(op.pool, op.idx, op.weights, {op.x, op.y});
}

const char *device::rejectMixOfTokens(MixOp op) { return rejectSelected(op); }

const char *device::rejectQuantizedMixOfTokens(QuantizedMixOp op) {
  // Scales are read where nothing is selected, too.
  if (cast<MemRefType>(op.getPool().getType()).getDimSize(0) == 0)
    return "the pool has no rows";
  return rejectSelected(op);
}

/// y = sum of weight * act(first . x) * (second . x) * last.
void device::emitMixOfTokens(LoopBuilder &host, const MixOperands &op, const GpuInfo &gpu) {
  int64_t vectors = host.staticDim(op.pool, 1);
  MixPass pass{op.table(), op.idx, op.weights, op.rowsPerExpert};
  pass.factors.assign(vectors, op.x);
  pass.factors.back() = {};
  pass.added.assign(vectors, false);
  pass.added.back() = true;
  pass.sum = op.y;
  pass.coefficients = [&](BlockBuilder &b, ArrayRef<Value> dots, Value weight) {
    MixPass::Coefficients result{Values(vectors), {}};
    result.scales.back() = emitMixScale(b, op.activation, weight, dots.take_front(vectors - 1));
    return result;
  };
  emitMixPass(host, pass, gpu);
}

template <typename OpTy>
static void emitMix(OpTy mix, LoopBuilder &host, const GpuInfo &gpu) {
  emitMixOfTokens(host, mix, gpu);
}

const char *device::rejectMixGradOfTokens(MixGradOp op) {
  if (!isDense(op.getDweights(), 1))
    return "weight gradients of a token are not dense";
  return rejectMixPass(op.getPool(), op.getIdx(), op.getWeights(), {op.getX(), op.getDy(), op.getDx(), op.getCoef()});
}

/// Kept with the coefficients: the row's part of the weight's gradient.
static MixPass::Coefficients emitCoefficients(BlockBuilder &b, MixGradOp op, ArrayRef<Value> dots, Value weight) {
  MixGradient gradient = emitMixGradient(b, op.getActivation(), weight, dots);
  MixPass::Coefficients result{gradient.coefs, gradient.coefs};
  // What is added to dx: all vectors but the last.
  result.scales.back() = {};
  result.kept.push_back(gradient.ofWeight);
  return result;
}

/// dweights[t, pair] = the sum of its rows' parts, in their order.
static void sumParts(LoopBuilder &host, Value parts, Value dweights, int64_t rows) {
  int64_t pairs = host.staticDim(dweights, 1) * host.staticDim(dweights, 2);
  Value all = host.mul(host.dim(dweights, 0), host.index(pairs));
  launchForEach(host, all, [&](BlockBuilder &b, Value flat) {
    Value token = b.div(flat, b.index(pairs)), pair = b.rem(flat, b.index(pairs));
    Value first = b.mul(pair, b.index(rows));
    Value sum = b.loop(b.index(0), b.index(rows), {b.f32(0)}, [&](Value row, ValueRange carried) {
      return Values{b.add(carried[0], b.load(parts, {token, b.add(first, row)}))};
    })[0];
    b.store(sum, flatSlice(b, dweights, {token}), pair);
  });
}

void device::emitMixGradOfTokens(LoopBuilder &host, MixGradOp op, const GpuInfo &gpu) {
  Value dweights = op.getDweights(), coef = op.getCoef(), parts;
  int64_t vectors = host.staticDim(op.getPool(), 1), rows = op.getRowsPerExpert();
  MixPass pass{MixOperands(op).table(), op.getIdx(), op.getWeights(), rows};
  pass.factors.assign(vectors, op.getX());
  pass.factors.back() = op.getDy();
  pass.added.assign(vectors, true);
  pass.added.back() = false;
  pass.sum = op.getDx();
  pass.coefficients = [&](BlockBuilder &b, ArrayRef<Value> dots, Value weight) {
    return emitCoefficients(b, op, dots, weight);
  };
  if (rows > 1) {
    int64_t numbers = host.staticDim(op.getIdx(), 1) * host.staticDim(op.getIdx(), 2) * rows;
    parts = host.heap({ShapedType::kDynamic, numbers}, host.getF32Type(), host.dim(op.getIdx(), 0));
  }
  pass.keptCount = vectors + 1;
  pass.keep = [&](BlockBuilder &b, Value token, Value number, ValueRange kept) {
    Value ofToken = flatSlice(b, coef, {token}), first = b.mul(number, b.index(vectors));
    if (vectors == 2)
      b.store(vector::FromElementsOp::create(b, VectorType::get({2}, b.getF32Type()), kept.drop_back()), ofToken,
              first);
    else
      for (int64_t f = 0; f < vectors; ++f)
        b.store(kept[f], ofToken, b.add(first, b.index(f)));
    if (parts)
      b.store(kept.back(), parts, {token, number});
    else
      b.store(kept.back(), flatSlice(b, dweights, {token}), number);
  };
  emitMixPass(host, pass, gpu);
  if (!parts)
    return;
  sumParts(host, parts, dweights, rows);
  host.free(parts);
}

static void emitMixGrad(MixGradOp op, LoopBuilder &host, const GpuInfo &gpu) { emitMixGradOfTokens(host, op, gpu); }

void device::addMix(Emitters &emitters) {
  emitters.grid<MixOp>({.emit = emitMix<MixOp>, .reject = rejectMixOfTokens});
  emitters.grid<QuantizedMixOp>({.emit = emitMix<QuantizedMixOp>, .reject = rejectQuantizedMixOfTokens});
  emitters.grid<MixGradOp>({.emit = emitMixGrad, .reject = rejectMixGradOfTokens});
}
