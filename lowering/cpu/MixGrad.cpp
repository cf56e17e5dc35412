//===- MixGrad.cpp - mix_grad in vectors ---------------------------------===//
//
// As for mix: all dots of a token's rows, then all coefficients as vectors, then dx with its sum in registers.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "MixRows.h"

#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/MixForm.h"
#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;

static const char *rejectMixGrad(MixGradOp op) {
  for (Value buffer : {op.getIdx(), op.getWeights(), op.getDweights(), op.getCoef()})
    if (!isDense(buffer, 1))
      return "indices, weights or coefficients of a token are not dense";
  return nullptr;
}

namespace {
class MixGradEmitter {
public:
  MixGradEmitter(MixGradOp op, LoopBuilder &b, int64_t width)
      : op(op), b(b), width(width), pool(op.getPool()), vectors(b.staticDim(pool, 1)),
        rows(b, op.getIdx(), MixOperands(op).table(), op.getRowsPerExpert(), width), numbers(rows.indexScratch(b)),
        places(rows.indexScratch(b)), weightOf(rows.scratch(b)), partOfWeight(rows.scratch(b)) {
    for (int64_t f = 0; f < vectors; ++f) {
      products.push_back(rows.scratch(b));
      coefs.push_back(rows.scratch(b));
    }
  }

  void emitToken(Value token) {
    x = b.slice(op.getX(), {token});
    dy = b.slice(op.getDy(), {token});
    dx = b.slice(op.getDx(), {token});
    idx = flatSlice(b, op.getIdx(), {token});
    weights = flatSlice(b, op.getWeights(), {token});
    dweights = flatSlice(b, op.getDweights(), {token});
    coef = flatSlice(b, op.getCoef(), {token});
    fillZero(b, dweights, width);
    if (!rows.isOneChunk() || vectors == 1)
      fillZero(b, dx, width);
    rows.forEachChunk(b, [&](Value first, Value count) {
      Value listed = emitList(first, count);
      emitDots(listed);
      emitCoefficients(count);
      emitStores(first, count);
      if (vectors > 1)
        emitSum(listed);
    });
  }

private:
  /// Lists the chunk's selected rows: their pool rows and their places in the chunk. Places where nothing is selected
  /// get weight and dots of 0, from which coefficients of 0 follow.
  Value emitList(Value first, Value count) {
    Value zero = b.f32(0);
    return b.loop(b.index(0), count, {b.index(0)}, [&](Value i, ValueRange carried) {
      MixRows::Row row = rows.rowOf(b, idx, b.add(first, i));
      b.store(row.row, numbers, {carried[0]});
      b.store(i, places, {carried[0]});
      b.store(b.select(row.valid, b.load(weights, {row.pair}), zero), weightOf, {i});
      for (Value product : products)
        b.store(zero, product, {i});
      return Values{b.add(carried[0], b.select(row.valid, b.index(1), b.index(0)))};
    })[0];
  }

  void emitDots(Value listed) {
    b.loop(listed, [&](Value i) {
      Value later = b.load(numbers, {rows.laterThan(b, i, listed)}), place = b.load(places, {i});
      Values results = rows.dotsOf(b, b.load(numbers, {i}), later, vectors, 0,
                                   [&](unsigned f) { return f + 1 == vectors ? dy : x; });
      for (auto [result, product] : llvm::zip(results, products))
        b.store(result, product, {place});
    });
  }

  void emitCoefficients(Value count) {
    b.loop(
        b.index(0), count,
        [&](Value i) {
          Values dots = llvm::map_to_vector(products, [&](Value product) { return b.load(product, {i}, width); });
          MixGradient gradient = emitMixGradient(b, op.getActivation(), b.load(weightOf, {i}, width), dots);
          for (auto [value, buffer] : llvm::zip(gradient.coefs, coefs))
            b.store(value, buffer, {i});
          b.store(gradient.ofWeight, partOfWeight, {i});
        },
        width);
  }

  void emitStores(Value first, Value count) {
    b.loop(count, [&](Value i) {
      Value number = b.add(first, i), pair = rows.pairOf(b, number), at = b.mul(number, b.index(vectors));
      for (int64_t f = 0; f < vectors; ++f)
        b.store(b.load(coefs[f], {i}), coef, {b.add(at, b.index(f))});
      b.store(b.add(b.load(dweights, {pair}), b.load(partOfWeight, {i})), dweights, {pair});
    });
  }

  void emitSum(Value listed) {
    forEachBlock(b, b.staticDim(pool, 2), width, [&](ArrayRef<Strip> strips) {
      Values init = zeros(b, strips);
      if (!rows.isOneChunk())
        init = llvm::map_to_vector(strips, [&](const Strip &s) { return b.load(dx, {s.at}, s.lanes); });
      Values sums = sumRows(b, b.index(0), listed, strips, init, [&](Value i, auto add) {
        Value row = b.load(numbers, {i}), place = b.load(places, {i});
        for (int64_t f = 0; f + 1 < vectors; ++f)
          add(b.load(coefs[f], {place}),
              [&](const Strip &s) { return b.load(pool, {row, b.index(f), s.at}, s.lanes); });
      });
      for (auto [sum, strip] : llvm::zip(sums, strips))
        b.store(sum, dx, {strip.at});
    });
  }

  MixGradOp op;
  LoopBuilder &b;
  int64_t width;
  Value pool;
  int64_t vectors;
  MixRows rows;
  Value numbers, places, weightOf, partOfWeight;
  Values products, coefs;
  // Of the token at hand.
  Value x, dy, dx, idx, weights, dweights, coef;
};
} // namespace

void cpu::emitMixGradOfTokens(MixGradOp op, LoopBuilder &b, int64_t width) {
  MixGradEmitter emitter(op, b, width);
  b.loop(b.dim(op.getX(), 0), [&](Value token) { emitter.emitToken(token); });
}

static void emitMixGrad(MixGradOp op, LoopBuilder &b, const VectorOptions &options) {
  emitMixGradOfTokens(op, b, options.width);
}

static std::optional<TileSizes> tiles(MixGradOp op) {
  return tile({{"t", getGroupFrom(op) > 0 ? groupedTokens(op) : tuned(op, tuning::kMixGradTokens)}});
}

void cpu::addMixGrad(LoopEmitters &emitters) {
  emitters.vectors<MixGradOp>({.emit = emitMixGrad, .reject = rejectMixGrad, .tileSizes = tiles});
}
