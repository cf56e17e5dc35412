//===- Attention.cpp - causal attention and its gradient -----------------===//

#include "Causal.h"

#include <cmath>

using namespace mlir;
using namespace peer;
using namespace peer::nn;

static void emit(LoopBuilder &b, AttentionOp op, int64_t width) {
  int64_t context = op.getContextLength();
  Value scores = allocateScores(b, getQueryBlock(context, width), context, op.getWindow(), width);
  forHeadGroups(b, op.getQuery(), op.getKey(), op.getHeads(), context, [&](const HeadGroup &group) {
    Value key = group.take(op.getKey()), value = group.take(op.getValue());
    group.forQueries([&](TakeHead take) {
      emitAttend(b, {take(op.getQuery()), key, value, {}, {}, op.getWindow()}, take(op.getY()), scores, width);
    });
  });
  b.free(scores);
}

/// dscores[row] = p * (dp - sum over the row of p dp), in place of dp, for the block's keys up to a whole vector: there
/// p is zero, and so is the result.
static void emitSoftmaxGradRow(LoopBuilder &b, Value probabilities, Value gradient, Value row, Value keys,
                               bool mayFollowOthers, int64_t width) {
  Value zero = b.index(0), lanes = b.index(width);
  Value end = b.mul(b.ceilDiv(keys, width), lanes);
  Type type = b.floats(width);
  // Behind the last key may be what an earlier, longer block left, and nothing says that it is a number.
  auto loadGradient = [&](Value at) -> Value {
    Value dp = b.load(gradient, {row, at}, width);
    if (!mayFollowOthers || width == 1)
      return dp;
    Value mask = vector::CreateMaskOp::create(b, VectorType::get({width}, b.getI1Type()), ValueRange{b.sub(keys, at)});
    return b.select(mask, dp, b.f32(0, type));
  };
  Value along = b.loop(
      zero, end, b.f32(0, type),
      [&](Value at, ValueRange carried) {
        Value p = b.load(probabilities, {row, at}, width);
        return SmallVector<Value>{b.fma(p, loadGradient(at), carried[0])};
      },
      width)[0];
  along = b.splat(b.sumLanes(along), type);
  b.loop(
      zero, end,
      [&](Value at) {
        Value p = b.load(probabilities, {row, at}, width);
        b.store(b.mul(p, b.sub(loadGradient(at), along)), gradient, {row, at});
      },
      width);
}

// Per block of queries, with P recomputed: dV += P^T dO; dP = dO V^T; dS = P (dP - rowsum(dP P)); dQ = scale dS K;
// dK += scale dS^T Q.
static void emit(LoopBuilder &b, AttentionGradOp op, int64_t width) {
  int64_t context = op.getContextLength(), block = getQueryBlock(context, width);
  SlidingWindow window = op.getWindow();
  double scale = 1 / std::sqrt(double(b.staticDim(op.getQuery(), 1) / op.getHeads()));
  Value scores = allocateScores(b, block, context, window, width);
  Value gradients = allocateScores(b, block, context, window, width);
  forHeadGroups(b, op.getQuery(), op.getKey(), op.getHeads(), context, [&](const HeadGroup &group) {
    Value key = group.take(op.getKey()), value = group.take(op.getValue());
    Value dkey = group.take(op.getDkey()), dvalue = group.take(op.getDvalue());
    emitZero(b, dkey, width);
    emitZero(b, dvalue, width);
    group.forQueries([&](TakeHead take) {
      Head head{take(op.getQuery()), key, value, {}, {}, window};
      Value dy = take(op.getDy()), dquery = take(op.getDquery());
      forQueryBlocks(b, head, scores, width, [&](const QueryBlock &part) {
        OpFoldResult zero = b.getIndexAttr(0);
        auto queryRows = [&](Value matrix) { return emitRows(b, matrix, part.start, part.rows); };
        auto keyRows = [&](Value matrix) { return emitRows(b, matrix, part.from, part.keys); };
        Value dscores = emitWindow(b, gradients, zero, part.rows, zero, part.keys);
        emitProduct(b, width, part.probabilities, true, queryRows(dy), false, keyRows(dvalue), /*beta=*/1);
        emitProduct(b, width, queryRows(dy), false, keyRows(head.value), true, dscores);
        Value keys = b.dim(part.probabilities, 1);
        b.loop(b.dim(part.probabilities, 0),
               [&](Value row) { emitSoftmaxGradRow(b, scores, gradients, row, keys, bool(window), width); });
        emitProduct(b, width, dscores, false, keyRows(head.key), false, queryRows(dquery), 0, scale);
        emitProduct(b, width, dscores, true, queryRows(head.query), false, keyRows(dkey), /*beta=*/1, scale);
      });
    });
  });
  b.free(gradients);
  b.free(scores);
}

void nn::addAttention(LoopEmitters &emitters) {
  emitters.everyWidth<AttentionOp>({.emit = emit, .tileSizes = [](AttentionOp) { return tile({{"s", 1}, {"h", 1}}); }});
  emitters.everyWidth<AttentionGradOp>(
      {.emit = emit, .tileSizes = [](AttentionGradOp) { return tile({{"s", 1}, {"h", 1}}); }});
}
