//===- Balance.cpp - losses of all logits, scores to select by -----------===//
//
// Losses walk a row twice, as probabilities do; of product keys no more than the two rows is ever looked at.
//
//===----------------------------------------------------------------------===//

#include "LogitRow.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The sum of `term` over the heads of a token.
static Value sumHeads(LoopBuilder &b, Value logits, llvm::function_ref<Value(Value h)> term) {
  return b.loop(b.index(0), b.dim(logits, 1), {b.f32(0)},
                [&](Value h, ValueRange carried) { return Values{b.add(carried[0], term(h))}; })[0];
}

//===----------------------------------------------------------------------===//
// Balance
//===----------------------------------------------------------------------===//

/// The sum over the keys of load * term.
static Value emitLoaded(LoopBuilder &b, const LogitRow &row, Value load, Value highest) {
  return b.sumStrips(row.size(), row.width, [&](Value at, int64_t lanes) {
    return b.mul(row.term(at, lanes, highest), b.load(load, {b.index(row.p), at}, lanes));
  });
}

/// n / (H * P): an even load makes a loss of 1.
static Value emitEvenLoss(LoopBuilder &b, Value logits) {
  return b.f32(double(b.staticDim(logits, 3)) / double(b.staticDim(logits, 1) * b.staticDim(logits, 2)));
}

void nn::emitOnRows(LoopBuilder &b, BalanceLossOp op, int64_t width) {
  Value logits = op.getLogits(), scale = emitEvenLoss(b, logits);
  b.rows(b.dim(logits, 0), [&](Value t) {
    Value total = sumHeads(b, logits, [&](Value h) {
      Value sum;
      for (int64_t p = 0; p < b.staticDim(logits, 2); ++p) {
        LogitRow row{b, logits, t, h, p, width};
        Value best = row.highest(), factor = row.factor(best);
        Value part = b.mul(emitLoaded(b, row, op.getLoad(), best), factor);
        sum = sum ? b.add(sum, part) : part;
      }
      return sum;
    });
    b.store(b.mul(total, scale), op.getLoss(), {t});
  });
}

void nn::emitOnRows(LoopBuilder &b, BalanceLossGradOp op, int64_t width) {
  Value logits = op.getLogits(), scale = emitEvenLoss(b, logits);
  forEachHead(b, logits, [&](Value t, Value h) {
    Value dloss = b.mul(b.load(op.getDloss(), {t}), scale);
    for (int64_t p = 0; p < b.staticDim(logits, 2); ++p) {
      LogitRow row{b, logits, t, h, p, width};
      Value best = row.highest(), factor = row.factor(best);
      Value mean = b.mul(emitLoaded(b, row, op.getLoad(), best), factor), slope = b.mul(dloss, factor);
      b.strips(row.size(), width, [&](Value at, int64_t lanes) {
        Value e = row.term(at, lanes, best), load = b.load(op.getLoad(), {b.index(p), at}, lanes);
        Value above = b.sub(load, b.splat(mean, e.getType()));
        b.store(b.mul(b.mul(e, b.splat(slope, e.getType())), above), op.getDlogits(), {t, h, b.index(p), at});
      });
    }
  });
}

//===----------------------------------------------------------------------===//
// Z
//===----------------------------------------------------------------------===//

/// log(total * exp(highest)), 0 of a row without scores.
static Value emitLogSum(LoopBuilder &b, Value highest, Value total) {
  return b.select(b.cmp(CmpFPredicate::OEQ, total, b.f32(0)), b.f32(0), b.add(b.log(total), highest));
}

void nn::emitOnRows(LoopBuilder &b, ZLossOp op, int64_t width) {
  Value logits = op.getLogits(), share = b.f32(1.0 / double(b.staticDim(logits, 1)));
  b.rows(b.dim(logits, 0), [&](Value t) {
    Value total = sumHeads(b, logits, [&](Value h) {
      Value sum;
      for (int64_t p = 0; p < b.staticDim(logits, 2); ++p) {
        LogitRow row{b, logits, t, h, p, width};
        Value best = row.highest(), part = emitLogSum(b, best, row.total(best));
        sum = sum ? b.add(sum, part) : part;
      }
      return b.mul(sum, sum);
    });
    b.store(b.mul(total, share), op.getLoss(), {t});
  });
}

void nn::emitOnRows(LoopBuilder &b, ZLossGradOp op, int64_t width) {
  Value logits = op.getLogits(), share = b.f32(2.0 / double(b.staticDim(logits, 1)));
  forEachHead(b, logits, [&](Value t, Value h) {
    Values best, factors;
    Value sum;
    for (int64_t p = 0; p < b.staticDim(logits, 2); ++p) {
      LogitRow row{b, logits, t, h, p, width};
      best.push_back(row.highest());
      Value total = row.total(best.back()), part = emitLogSum(b, best.back(), total);
      factors.push_back(emitSoftmaxFactor(b, total));
      sum = sum ? b.add(sum, part) : part;
    }
    Value slope = b.mul(b.mul(b.load(op.getDloss(), {t}), share), sum);
    for (int64_t p = 0; p < b.staticDim(logits, 2); ++p) {
      LogitRow row{b, logits, t, h, p, width};
      Value scale = b.mul(slope, factors[p]);
      b.strips(row.size(), width, [&](Value at, int64_t lanes) {
        Value e = row.term(at, lanes, best[p]);
        b.store(b.mul(e, b.splat(scale, e.getType())), op.getDlogits(), {t, h, b.index(p), at});
      });
    }
  });
}

//===----------------------------------------------------------------------===//
// Scores to select by, and scores of what was selected
//===----------------------------------------------------------------------===//

void nn::emitOnRows(LoopBuilder &b, BalanceBiasOp op, int64_t width) {
  Value logits = op.getLogits();
  forEachHead(b, logits, [&](Value t, Value h) {
    for (int64_t p = 0; p < b.staticDim(logits, 2); ++p)
      b.strips(b.dim(logits, 3), width, [&](Value at, int64_t lanes) {
        Value half = b.index(p);
        Value bias = b.load(op.getBias(), {half, at}, lanes);
        b.store(b.add(b.load(logits, {t, h, half, at}, lanes), bias), op.getBiased(), {t, h, half, at});
      });
  });
}

/// Single elements, whatever the width: they lie anywhere.
void nn::emitOnRows(LoopBuilder &b, GatherOp op, int64_t) {
  Value logits = op.getLogits(), idx = op.getIdx();
  int64_t halves = b.staticDim(logits, 2), n = b.staticDim(logits, 3);
  forEachHead(b, idx, [&](Value t, Value h) {
    b.strips(b.dim(idx, 2), 1, [&](Value at, int64_t) {
      Value given = b.load(idx, {t, h, at}), none = b.cmp(CmpIPredicate::slt, given, b.i32(0));
      Value expert = b.toIndex(b.max(given, b.i32(0))), sum;
      for (int64_t p = 0; p < halves; ++p) {
        Value score = emitScore(b, b.load(logits, {t, h, b.index(p), emitKeyOf(b, expert, p, halves, n)}));
        sum = sum ? b.add(sum, score) : score;
      }
      b.store(b.select(none, b.f32(-kInfinity), sum), op.getVal(), {t, h, at});
    });
  });
}

void nn::addBalance(LoopEmitters &emitters) {
  emitters.everyWidth<BalanceLossOp>(
      {.emit = emitOnRows, .tileSizes = [](BalanceLossOp) { return tile({{"t", 64}}); }});
  emitters.everyWidth<BalanceLossGradOp>(
      {.emit = emitOnRows, .tileSizes = [](BalanceLossGradOp) { return tile({{"t", 16}}); }});
  emitters.everyWidth<ZLossOp>({.emit = emitOnRows, .tileSizes = [](ZLossOp) { return tile({{"t", 64}}); }});
  emitters.everyWidth<ZLossGradOp>({.emit = emitOnRows, .tileSizes = [](ZLossGradOp) { return tile({{"t", 16}}); }});
  emitters.everyWidth<BalanceBiasOp>(
      {.emit = emitOnRows, .tileSizes = [](BalanceBiasOp) { return tile({{"t", 16}}); }});
  emitters.everyWidth<GatherOp>({.emit = emitOnRows, .tileSizes = [](GatherOp) { return tile({{"t", 64}}); }});
}
