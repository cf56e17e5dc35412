//===- Update.cpp - plain loops of update and sum_squares ----------------===//

#include "Loops.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;

static unsigned rankOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getRank(); }

void loops::emitUpdateOp(UpdateOp op, LoopBuilder &b) {
  OptimizerStep step = emitOptimizerStep(b, op.getOptimizer(), op.getLearningRate(), op.getStep(), op.getScale());
  nest(b, dims(b, op.getParam(), rankOf(op.getParam())), [&](ArrayRef<Value> at) {
    emitUpdateAt(b, step, op.getParam(), op.getStates(), b.load(op.getGrad(), at), at, 1);
  });
}

void loops::emitSumSquares(SumSquaresOp op, LoopBuilder &b) {
  Value x = op.getX(), total = op.getOuts()[0];
  b.store(b.f32(0), total, {});
  nest(b, dims(b, x, rankOf(x)), [&](ArrayRef<Value> at) {
    Value element = b.load(x, at);
    b.store(b.add(b.load(total, {}), b.mul(element, element)), total, {});
  });
}
