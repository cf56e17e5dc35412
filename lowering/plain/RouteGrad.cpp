//===- RouteGrad.cpp - plain loops of the gradients of score, select, gate ===//

#include "Loops.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;
using arith::CmpIPredicate;

/// For each selection of each head and half: body(t, h, p, key, dval), in the order of t, h, k.
static void forEachSelection(LoopBuilder &b, Value idx, Value dval, SelectPolicyAttrInterface policy, int64_t n,
                             llvm::function_ref<void(Value t, Value h, Value p, Value key, Value gradient)> body) {
  unsigned halves = policy.getHalves();
  nest(b, dims(b, idx, 3), [&](ArrayRef<Value> at) {
    Value expert = b.load(idx, at);
    b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
      Value e = b.toIndex(expert), gradient = b.load(dval, at);
      for (unsigned p = 0; p < halves; ++p)
        body(at[0], at[1], b.index(p), emitKeyOf(b, e, int64_t(p), halves, n), gradient);
    });
  });
}

static void emitSelectGrad(SelectGradOp op, LoopBuilder &b) {
  Value dlogits = op.getDlogits();
  fillZero(b, dlogits);
  forEachSelection(b, op.getIdx(), op.getDval(), op.getPolicy(), op.getN(),
                   [&](Value t, Value h, Value p, Value key, Value gradient) {
                     b.store(b.add(b.load(dlogits, {t, h, p, key}), gradient), dlogits, {t, h, p, key});
                   });
}

static void emitScoreQueryGrad(ScoreQueryGradOp op, LoopBuilder &b) {
  Value dlogits = op.getDlogits(), keys = op.getKeys(), dquery = op.getDquery();
  nest(b, dims(b, dquery, 4), [&](ArrayRef<Value> at) {
    Value head = keyHead(b, keys, at[1]);
    Value total = sum(b, b.dim(keys, 2), [&](Value j) {
      return b.mul(b.load(dlogits, {at[0], at[1], at[2], j}), b.load(keys, {head, at[2], j, at[3]}));
    });
    b.store(total, dquery, at);
  });
}

static void emitScoreKeyGrad(ScoreKeyGradOp op, LoopBuilder &b) {
  Value dlogits = op.getDlogits(), query = op.getQuery(), dkeys = op.getDkeys();
  nest(b, dims(b, dkeys, 4), [&](ArrayRef<Value> at) {
    auto overTokens = [&](Value head) {
      return sum(b, b.dim(dlogits, 0), [&](Value t) {
        return b.mul(b.load(dlogits, {t, head, at[1], at[2]}), b.load(query, {t, head, at[1], at[3]}));
      });
    };
    Value total = op.getShared() ? sum(b, b.dim(dlogits, 1), overTokens) : overTokens(at[0]);
    b.store(total, dkeys, at);
  });
}

static void emitRouteQueryGrad(RouteQueryGradOp op, LoopBuilder &b) {
  Value keys = op.getKeys(), dquery = op.getDquery();
  fillZero(b, dquery);
  forEachSelection(b, op.getIdx(), op.getDval(), op.getPolicy(), b.staticDim(keys, 2),
                   [&](Value t, Value h, Value p, Value key, Value gradient) {
                     Value head = keyHead(b, keys, h);
                     b.loop(b.dim(keys, 3), [&](Value c) {
                       Value term = b.mul(gradient, b.load(keys, {head, p, key, c}));
                       b.store(b.add(b.load(dquery, {t, h, p, c}), term), dquery, {t, h, p, c});
                     });
                   });
}

static void emitRouteKeyGrad(RouteKeyGradOp op, LoopBuilder &b) {
  Value query = op.getQuery(), dkeys = op.getDkeys();
  fillZero(b, dkeys);
  forEachSelection(b, op.getIdx(), op.getDval(), op.getPolicy(), op.getN(),
                   [&](Value t, Value h, Value p, Value key, Value gradient) {
                     Value head = op.getShared() ? b.index(0) : h;
                     b.loop(b.dim(query, 3), [&](Value c) {
                       Value term = b.mul(gradient, b.load(query, {t, h, p, c}));
                       b.store(b.add(b.load(dkeys, {head, p, key, c}), term), dkeys, {head, p, key, c});
                     });
                   });
}

static void emitGateGrad(GateGradOp op, LoopBuilder &b) {
  Value weights = op.getWeights(), dweights = op.getDweights(), dval = op.getDval();
  nest(b, dims(b, dval, 2), [&](ArrayRef<Value> row) {
    Value selected = b.dim(dval, 2), mean;
    if (op.getKind() == GateKind::Softmax)
      mean = sum(b, selected, [&](Value k) {
        return b.mul(b.load(weights, {row[0], row[1], k}), b.load(dweights, {row[0], row[1], k}));
      });
    b.loop(selected, [&](Value k) {
      Values at{row[0], row[1], k};
      Value result = emitGateGradient(b, op.getKind(), b.load(weights, at), b.load(dweights, at), mean,
                                      [&] { return b.load(op.getVal(), at); });
      b.store(result, dval, at);
    });
  });
}

void loops::addRouteGrad(LoopEmitters &emitters) {
  emitters.loops<SelectGradOp>(emitSelectGrad);
  emitters.loops<ScoreQueryGradOp>(emitScoreQueryGrad);
  emitters.loops<ScoreKeyGradOp>(emitScoreKeyGrad);
  emitters.loops<RouteQueryGradOp>(emitRouteQueryGrad);
  emitters.loops<RouteKeyGradOp>(emitRouteKeyGrad);
  emitters.loops<GateGradOp>(emitGateGrad);
}
