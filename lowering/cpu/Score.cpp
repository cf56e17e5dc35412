//===- Score.cpp - score and its gradients as matrix products ------------===//

#include "Kernels.h"
#include "Rows.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;

static bool isF32(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementType().isF32(); }

/// keys[h, p] as a matrix, h being 0 where heads share them.
static Value keyMatrix(LoopBuilder &b, Value keys, Value h, Value p) {
  return b.slice(keys, {b.staticDim(keys, 0) == 1 ? b.index(0) : h, p});
}

/// Keys or queries in bf16: no BLAS takes them, so dots of widened vectors.
static void emitScoreDots(ScoreOp op, LoopBuilder &b, int64_t width) {
  Value query = op.getQuery(), keys = op.getKeys(), logits = op.getLogits();
  nest(b, dims(b, logits, 4), [&](ArrayRef<Value> at) {
    Value head = b.staticDim(keys, 0) == 1 ? b.index(0) : at[1];
    auto terms = [&](const Strip &s) -> SmallVector<std::pair<Value, Value>> {
      return {{b.load(query, {at[0], at[1], at[2], s.at}, s.lanes), b.load(keys, {head, at[2], at[3], s.at}, s.lanes)}};
    };
    Value score = dots(b, b.staticDim(query, 3), width, 1, terms, [](Value, int64_t) {})[0];
    b.store(score, logits, at);
  });
}

static void emitScoreOp(ScoreOp op, LoopBuilder &b, const VectorOptions &options) {
  Value query = op.getQuery(), keys = op.getKeys(), logits = op.getLogits();
  if (!isF32(query) || !isF32(keys))
    return emitScoreDots(op, b, options.width);
  nest(b, {b.dim(query, 1), b.dim(query, 2)}, [&](ArrayRef<Value> hp) {
    b.sgemm(headMatrix(b, query, hp[0], hp[1]), false, keyMatrix(b, keys, hp[0], hp[1]), true,
            headMatrix(b, logits, hp[0], hp[1]));
  });
}

static const char *rejectScoreQueryGrad(ScoreQueryGradOp op) {
  return isF32(op.getKeys()) ? nullptr : "keys are not f32";
}

static void emitScoreQueryGrad(ScoreQueryGradOp op, LoopBuilder &b, const VectorOptions &) {
  Value dlogits = op.getDlogits(), dquery = op.getDquery();
  nest(b, {b.dim(dlogits, 1), b.dim(dlogits, 2)}, [&](ArrayRef<Value> hp) {
    b.sgemm(headMatrix(b, dlogits, hp[0], hp[1]), false, keyMatrix(b, op.getKeys(), hp[0], hp[1]), false,
            headMatrix(b, dquery, hp[0], hp[1]));
  });
}

static const char *rejectScoreKeyGrad(ScoreKeyGradOp op) {
  return isF32(op.getQuery()) ? nullptr : "the query is not f32";
}

static void emitScoreKeyGrad(ScoreKeyGradOp op, LoopBuilder &b, const VectorOptions &options) {
  Value dlogits = op.getDlogits(), dkeys = op.getDkeys();
  // With shared keys every head adds to the same matrix.
  fillZero(b, dkeys, options.width);
  nest(b, {b.dim(dlogits, 1), b.dim(dlogits, 2)}, [&](ArrayRef<Value> hp) {
    b.sgemm(headMatrix(b, dlogits, hp[0], hp[1]), true, headMatrix(b, op.getQuery(), hp[0], hp[1]), false,
            keyMatrix(b, dkeys, hp[0], hp[1]), /*beta=*/1.0);
  });
}

void cpu::addScore(LoopEmitters &emitters) {
  emitters.vectors<ScoreOp>({.emit = emitScoreOp, .tileSizes = [](ScoreOp) { return tile({{"t", 64}, {"h", 1}}); }});
  emitters.vectors<ScoreQueryGradOp>({.emit = emitScoreQueryGrad,
                                      .reject = rejectScoreQueryGrad,
                                      .tileSizes = [](ScoreQueryGradOp) { return tile({{"t", 16}, {"h", 1}}); }});
  emitters.vectors<ScoreKeyGradOp>(
      {.emit = emitScoreKeyGrad, .reject = rejectScoreKeyGrad, .tileSizes = [](ScoreKeyGradOp op) {
         return tile({{op.getShared() ? "p" : "h", 1}});
       }});
}
