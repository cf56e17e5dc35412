//===- Capacity.cpp - plain loops of expert_load and capacity ------------===//

#include "Loops.h"

#include "lowering/emit/Capacity.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;
using arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// expert_load
//===----------------------------------------------------------------------===//

static void emitLoad(ExpertLoadOp op, LoopBuilder &b) {
  Value idx = op.getIdx(), load = op.getLoad();
  int64_t halves = op.getHalves(), n = op.getKeys();
  Value counts = b.heap({halves * n}, b.getI32Type());
  emitFill(b, counts, b.index(halves * n), 0);
  Values bounds = dims(b, idx, 3);
  if (op.getFirst())
    bounds[2] = b.index(std::min<int64_t>(b.staticDim(idx, 2), 1));
  nest(b, bounds, [&](ArrayRef<Value> at) {
    Value expert = b.load(idx, at);
    b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
      for (int64_t p = 0; p < halves; ++p)
        emitIncrement(b, counts, {b.add(b.index(p * n), emitKeyOf(b, b.toIndex(expert), p, halves, n))});
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

/// Each pair counts those of its expert before it.
static void emitCapacityOp(CapacityOp op, LoopBuilder &b) {
  Value idx = op.getIdx(), weights = op.getWeights(), kept = op.getKept(), keptWeights = getOutputAt(op, 1);
  Values sizes = dims(b, idx, 3);
  Value capacity = emitCapacity(b, op), count = b.mul(sizes[0], b.mul(sizes[1], sizes[2]));
  auto ranked = [&](Value pair, ArrayRef<Value> place) {
    Value weight = op.getPriority() == Priority::Token ? Value() : emitScore(b, b.load(weights, place));
    return RankedPair{pair, weight, place[2]};
  };
  b.loop(count, [&](Value pair) {
    Values at = emitPairPlace(b, pair, sizes[1], sizes[2]);
    Value expert = b.load(idx, at);
    Value before = b.loop(b.index(0), count, {b.index(0)}, [&](Value other, ValueRange carried) {
      Values place = emitPairPlace(b, other, sizes[1], sizes[2]);
      Value same = b.cmp(CmpIPredicate::eq, b.load(idx, place), expert);
      Value ahead = both(b, same, emitPrecedes(b, op.getPriority(), ranked(other, place), ranked(pair, at)));
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
