//===- Update.cpp - plain loops of update and sum_squares ----------------===//

#include "Loops.h"

#include "lowering/emit/UpdatePasses.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;

static unsigned rankOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getRank(); }

static void emitUpdateOp(UpdateOp op, LoopBuilder &b) {
  OptimizerStep step =
      emitOptimizerStep(b, op.getOptimizer(), op.getParam(), op.getLearningRate(), op.getStep(), op.getScale());
  if (isInPasses(op)) {
    auto pass = [&](int64_t count, int64_t, PassTarget::Unit body) {
      b.loop(count, [&](Value i) { body(b, step, i); });
    };
    return emitUpdateInPasses(b, op, {.lanes = 1, .flat = false, .pass = pass});
  }
  nest(b, dims(b, op.getParam(), rankOf(op.getParam())), [&](ArrayRef<Value> at) {
    emitUpdateAt(b, step, op.getParam(), op.getStates(), b.load(op.getGrad(), at), at, 1);
  });
}

static void emitSumSquares(SumSquaresOp op, LoopBuilder &b) {
  Value x = op.getX();
  emitSquares(b, op.getSquares(), [&](llvm::function_ref<void(Value)> add) {
    nest(b, dims(b, x, rankOf(x)), [&](ArrayRef<Value> at) { add(b.load(x, at)); });
  });
}

void loops::emitSquares(LoopBuilder &b, Value result, llvm::function_ref<void(llvm::function_ref<void(Value)>)> terms) {
  Type f64 = b.getF64Type();
  Value total = b.stack({}, f64);
  b.store(arith::ConstantOp::create(b, b.getF64FloatAttr(0)), total, {});
  terms([&](Value term) {
    Value wide = arith::ExtFOp::create(b, f64, term);
    b.store(b.add(b.load(total, {}), b.mul(wide, wide)), total, {});
  });
  b.store(arith::TruncFOp::create(b, b.getF32Type(), b.load(total, {})), result, {});
}

void loops::addUpdate(LoopEmitters &emitters) {
  emitters.loops<UpdateOp>(emitUpdateOp);
  emitters.loops<SumSquaresOp>(emitSumSquares);
}
