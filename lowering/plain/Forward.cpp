//===- Forward.cpp - plain loops of score, gate and usage ----------------===//

#include "Loops.h"

#include "lowering/emit/GateMass.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;
using arith::CmpIPredicate;

void loops::fillZero(LoopBuilder &b, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  Value zero = b.f32(0);
  nest(b, dims(b, buffer, type.getRank()), [&](ArrayRef<Value> at) { b.store(zero, buffer, at); });
}

Value loops::keyHead(LoopBuilder &b, Value keys, Value head) { return b.staticDim(keys, 0) == 1 ? b.index(0) : head; }

Value loops::sum(LoopBuilder &b, Value bound, llvm::function_ref<Value(Value)> term) {
  return b.loop(b.index(0), bound, {b.f32(0)},
                [&](Value i, ValueRange carried) { return Values{b.add(carried[0], term(i))}; })[0];
}

static void emitScoreOp(ScoreOp op, LoopBuilder &b) {
  Value query = op.getQuery(), keys = op.getKeys(), logits = op.getLogits();
  nest(b, dims(b, logits, 4), [&](ArrayRef<Value> at) {
    Value head = keyHead(b, keys, at[1]);
    Value score = sum(b, b.dim(query, 3), [&](Value c) {
      return b.mul(b.load(query, {at[0], at[1], at[2], c}), b.load(keys, {head, at[2], at[3], c}));
    });
    b.store(score, logits, at);
  });
}

static void emitGate(GateOp op, LoopBuilder &b) {
  Value val = op.getVal(), weights = op.getWeights();
  bool softmax = op.getKind() == GateKind::Softmax;
  nest(b, dims(b, val, 2), [&](ArrayRef<Value> row) {
    Value selected = b.dim(val, 2), highest, factor;
    auto score = [&](Value k) { return b.load(val, {row[0], row[1], k}); };
    auto term = [&](Value k) {
      Value v = score(k);
      return emitGateTerm(b, op.getKind(), v, highest, emitIsNone(b, v));
    };
    if (softmax) {
      Value lowest = b.f32(-std::numeric_limits<double>::infinity());
      highest = b.loop(b.index(0), selected, {lowest},
                       [&](Value k, ValueRange carried) { return Values{b.max(carried[0], score(k))}; })[0];
      factor = emitSoftmaxFactor(b, sum(b, selected, term));
    }
    b.loop(selected, [&](Value k) {
      Value weight = term(k);
      b.store(softmax ? b.mul(weight, factor) : weight, weights, {row[0], row[1], k});
    });
  });
}

static void emitUsage(UsageOp op, LoopBuilder &b) {
  Value idx = op.getIdx(), weights = op.getWeights(), mass = op.getMass();
  Type f64 = b.getF64Type();
  Value experts = b.dim(mass, 0), sums = mass;
  bool narrow = cast<MemRefType>(mass.getType()).getElementType() != f64;
  if (narrow) {
    sums = b.heap({b.staticDim(mass, 0)}, f64);
    Value zero = arith::ConstantOp::create(b, b.getF64FloatAttr(0));
    b.loop(experts, [&](Value e) { b.store(zero, sums, {e}); });
  }
  nest(b, dims(b, idx, 3), [&](ArrayRef<Value> at) {
    Value expert = b.load(idx, at);
    b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
      Value e = b.toIndex(expert), weight = arith::ExtFOp::create(b, f64, b.load(weights, at));
      b.store(b.add(b.load(sums, {e}), weight), sums, {e});
    });
  });
  if (!narrow)
    return;
  b.loop(experts, [&](Value e) { addMass(b, mass, e, b.load(sums, {e})); });
  b.free(sums);
}

void loops::addForward(LoopEmitters &emitters) {
  emitters.loops<ScoreOp>(emitScoreOp);
  emitters.loops<GateOp>(emitGate);
  emitters.loops<UsageOp>(emitUsage);
}
