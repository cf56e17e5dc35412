//===- MixGrad.cpp - mix_grad in vectors ---------------------------------===//
//
// As for mix: the dots of a group of a token's rows, then their coefficients as vectors, then dx with its sum in registers.
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
      : op(op), b(b), width(width), vectors(b.staticDim(op.getPool(), 1)),
        rows(b, op.getIdx(), MixOperands(op).table(), op.getRowsPerExpert(), width, /*dotsOfAll=*/vectors > 1),
        numbers(rows.indexScratch(b)), weightOf(rows.scratch(b)), partOfWeight(rows.scratch(b)) {
    for (int64_t f = 0; f < vectors; ++f) {
      products.push_back(rows.scratch(b));
      coefs.push_back(rows.scratch(b));
    }
  }

  void emitToken(Value token) {
    x = b.slice(op.getX(), {token});
    dy = b.slice(op.getDy(), {token});
    dx = b.slice(op.getDx(), {token});
    Value weights = flatSlice(b, op.getWeights(), {token});
    dweights = flatSlice(b, op.getDweights(), {token});
    coef = flatSlice(b, op.getCoef(), {token});
    // What is not selected has gradients of zero.
    for (Value buffer : {dx, dweights, coef})
      fillZero(b, buffer, width);
    auto note = [&](Value place, Value number, Value pair) {
      b.store(number, numbers, {place});
      b.store(b.load(weights, {pair}), weightOf, {place});
    };
    rows.forEachChunk(b, token, note, [&](Value listed) {
      rows.forEachGroup(b, listed, [&](Value first, Value end) {
        emitDots(first, end);
        emitCoefficients(first, end);
        emitStores(first, end);
        if (vectors > 1)
          emitSum(first, end);
      });
    });
  }

private:
  void emitDots(Value first, Value end) {
    // The last vector is fetched where dx is summed.
    int64_t fetched = std::max<int64_t>(vectors - 1, 1);
    b.loop(first, end, [&](Value i) {
      Values results = rows.dotsOf(b, i, vectors, fetched, [&](unsigned f) { return f + 1 == vectors ? dy : x; });
      for (auto [result, product] : llvm::zip(results, products))
        b.store(result, product, {i});
    });
  }

  /// The last vector may run into the padding.
  void emitCoefficients(Value first, Value end) {
    b.loop(
        first, end,
        [&](Value i) {
          Values dots = llvm::map_to_vector(products, [&](Value product) { return b.load(product, {i}, width); });
          MixGradient gradient = emitMixGradient(b, op.getActivation(), b.load(weightOf, {i}, width), dots);
          for (auto [value, buffer] : llvm::zip(gradient.coefs, coefs))
            b.store(value, buffer, {i});
          b.store(gradient.ofWeight, partOfWeight, {i});
        },
        width);
  }

  void emitStores(Value first, Value end) {
    b.loop(first, end, [&](Value i) {
      Value number = b.load(numbers, {i}), pair = rows.pairOf(b, number), at = b.mul(number, b.index(vectors));
      for (int64_t f = 0; f < vectors; ++f)
        b.store(b.load(coefs[f], {i}), coef, {b.add(at, b.index(f))});
      b.store(b.add(b.load(dweights, {pair}), b.load(partOfWeight, {i})), dweights, {pair});
    });
  }

  void emitSum(Value first, Value end) {
    rows.addUp(b, first, end, dx, [&](Value i, auto add) {
      for (int64_t f = 0; f + 1 < vectors; ++f)
        add(b.load(coefs[f], {i}), f);
    });
  }

  MixGradOp op;
  LoopBuilder &b;
  int64_t width;
  int64_t vectors;
  MixRows rows;
  Value numbers, weightOf, partOfWeight;
  Values products, coefs;
  // Of the token at hand.
  Value x, dy, dx, dweights, coef;
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
