//===- Probability.cpp - weights by the softmax over all experts ---------===//
//
// A row is read twice for each half; of product keys no more than the two rows is ever looked at.
//
//===----------------------------------------------------------------------===//

#include "LogitRow.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

void nn::emitOnRows(LoopBuilder &b, ProbabilityOp op, int64_t width) {
  Value val = op.getVal(), logits = op.getLogits();
  forEachHead(b, val, [&](Value t, Value h) {
    Value highest, factor;
    for (int64_t p = 0; p < b.staticDim(logits, 2); ++p) {
      LogitRow half{b, logits, t, h, p, width};
      Value best = half.highest(), share = half.factor(best);
      highest = highest ? b.add(highest, best) : best;
      factor = factor ? b.mul(factor, share) : share;
    }
    b.strips(b.dim(val, 2), width, [&](Value at, int64_t lanes) {
      Value v = b.load(val, {t, h, at}, lanes);
      Value e = emitGateTerm(b, GateKind::Softmax, v, highest, emitIsNone(b, v));
      b.store(b.mul(e, b.splat(factor, e.getType())), op.getWeights(), {t, h, at});
    });
  });
}

void nn::emitOnRows(LoopBuilder &b, ProbabilityGradOp op, int64_t width) {
  Value logits = op.getLogits(), weights = op.getWeights();
  forEachHead(b, weights, [&](Value t, Value h) {
    Value along = b.sumStrips(b.dim(weights, 2), width, [&](Value at, int64_t lanes) {
      return b.mul(b.load(weights, {t, h, at}, lanes), b.load(op.getDweights(), {t, h, at}, lanes));
    });
    for (int64_t p = 0; p < b.staticDim(logits, 2); ++p) {
      LogitRow half{b, logits, t, h, p, width};
      Value best = half.highest(), scale = b.neg(b.mul(along, half.factor(best)));
      b.strips(half.size(), width, [&](Value at, int64_t lanes) {
        Value e = half.term(at, lanes, best);
        b.store(b.mul(e, b.splat(scale, e.getType())), op.getDlogits(), {t, h, b.index(p), at});
      });
    }
  });
}

void nn::addProbability(LoopEmitters &emitters) {
  emitters.everyWidth<ProbabilityOp>(
      {.emit = emitOnRows, .tileSizes = [](ProbabilityOp) { return tile({{"t", 64}}); }});
  emitters.everyWidth<ProbabilityGradOp>(
      {.emit = emitOnRows, .tileSizes = [](ProbabilityGradOp) { return tile({{"t", 16}}); }});
}
