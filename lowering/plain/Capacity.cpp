//===- Capacity.cpp - plain loops of expert_load and capacity ------------===//

#include "Loops.h"

#include "lowering/emit/Capacity.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static void fill(LoopBuilder &b, Value buffer, Value size, int64_t value) {
  b.loop(size, [&](Value i) { b.store(b.i32(value), buffer, {i}); });
}

/// buffer[at] += 1; what was there before.
static Value increment(LoopBuilder &b, Value buffer, ValueRange at) {
  Value old = b.load(buffer, at);
  b.store(b.add(old, b.i32(1)), buffer, at);
  return old;
}

//===----------------------------------------------------------------------===//
// expert_load
//===----------------------------------------------------------------------===//

static void emitLoad(ExpertLoadOp op, LoopBuilder &b) {
  Value idx = op.getIdx(), load = op.getLoad();
  int64_t halves = op.getHalves(), n = op.getKeys();
  Value counts = b.heap({halves * n}, b.getI32Type());
  fill(b, counts, b.index(halves * n), 0);
  Values bounds = dims(b, idx, 3);
  if (op.getFirst())
    bounds[2] = b.index(std::min<int64_t>(b.staticDim(idx, 2), 1));
  nest(b, bounds, [&](ArrayRef<Value> at) {
    Value expert = b.load(idx, at);
    b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
      for (int64_t p = 0; p < halves; ++p)
        increment(b, counts, {b.add(b.index(p * n), emitKeyOf(b, b.toIndex(expert), p, halves, n))});
    });
  });
  Value total = b.loop(b.index(0), b.index(n), {b.i32(0)},
                       [&](Value j, ValueRange carried) { return Values{b.add(carried[0], b.load(counts, {j}))}; })[0];
  Value pairs = b.toF32(b.max(total, b.i32(1)));
  nest(b, dims(b, load, 2), [&](ArrayRef<Value> at) {
    Value count = b.load(counts, {b.add(b.mul(at[0], b.index(n)), at[1])});
    b.store(b.div(b.toF32(count), pairs), load, at);
  });
  b.free(counts);
}

//===----------------------------------------------------------------------===//
// capacity
//===----------------------------------------------------------------------===//

/// Whether pair x of an expert is taken before its pair y.
static Value precedes(LoopBuilder &b, Value weights, Priority priority, Value x, Value y, ArrayRef<Value> placeOfX,
                      ArrayRef<Value> placeOfY) {
  Value earlier = b.cmp(CmpIPredicate::ult, x, y);
  if (priority == Priority::Token)
    return earlier;
  Value first = emitScore(b, b.load(weights, placeOfX)), second = emitScore(b, b.load(weights, placeOfY));
  Value byWeight =
      either(b, b.cmp(CmpFPredicate::OGT, first, second), both(b, b.cmp(CmpFPredicate::OEQ, first, second), earlier));
  if (priority == Priority::Probability)
    return byWeight;
  return either(b, b.cmp(CmpIPredicate::ult, placeOfX[2], placeOfY[2]),
                both(b, b.cmp(CmpIPredicate::eq, placeOfX[2], placeOfY[2]), byWeight));
}

/// Each pair counts those of its expert before it.
static void emitCapacityOp(CapacityOp op, LoopBuilder &b) {
  Value idx = op.getIdx(), weights = op.getWeights(), kept = op.getKept(), keptWeights = getOutputAt(op, 1);
  Values sizes = dims(b, idx, 3);
  Value capacity = emitCapacity(b, op), count = b.mul(sizes[0], b.mul(sizes[1], sizes[2]));
  b.loop(count, [&](Value pair) {
    Values at = emitPairPlace(b, pair, sizes[1], sizes[2]);
    Value expert = b.load(idx, at);
    Value before = b.loop(b.index(0), count, {b.index(0)}, [&](Value other, ValueRange carried) {
      Values place = emitPairPlace(b, other, sizes[1], sizes[2]);
      Value same = b.cmp(CmpIPredicate::eq, b.load(idx, place), expert);
      Value ahead = both(b, same, precedes(b, weights, op.getPriority(), other, pair, place, at));
      return Values{b.add(carried[0], b.select(ahead, b.index(1), b.index(0)))};
    })[0];
    Value stays = both(b, b.cmp(CmpIPredicate::sge, expert, b.i32(0)), b.cmp(CmpIPredicate::ult, before, capacity));
    b.store(b.select(stays, expert, b.i32(-1)), kept, at);
    b.store(b.select(stays, b.load(weights, at), b.f32(0)), keptWeights, at);
  });
}

void loops::addCapacity(LoopEmitters &emitters) {
  emitters.loops<ExpertLoadOp>(emitLoad);
  emitters.loops<CapacityOp>(emitCapacityOp);
}
