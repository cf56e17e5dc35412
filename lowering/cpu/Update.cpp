//===- Update.cpp - update and sum_squares in vectors --------------------===//

#include "Kernels.h"
#include "Rows.h"

#include "lowering/emit/UpdatePasses.h"
#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;

/// Elements that one thread sums at a time, and takes where a pass needs units of many.
static constexpr int64_t kChunk = 16384;

/// Threads take chunks of so many elements, or of one unit.
static void emitPass(LoopBuilder &b, int64_t count, int64_t elements, llvm::function_ref<void(Value i)> body) {
  int64_t each = std::max<int64_t>(kChunk / std::max<int64_t>(elements, 1), 1);
  if (count <= each)
    return b.loop(count, body);
  b.parallel({b.index((count + each - 1) / each)}, [&](ValueRange chunk) {
    Value low = b.mul(chunk[0], b.index(each));
    b.loop(low, b.min(b.add(low, b.index(each)), b.index(count)), body);
  });
}

static void emitUpdateOp(UpdateOp op, LoopBuilder &b, const VectorOptions &options) {
  OptimizerStep step =
      emitOptimizerStep(b, op.getOptimizer(), op.getParam(), op.getLearningRate(), op.getStep(), op.getScale());
  if (isInPasses(op)) {
    auto pass = [&](int64_t count, int64_t elements, PassTarget::Unit body) {
      emitPass(b, count, elements, [&](Value i) { body(b, step, i); });
    };
    return emitUpdateInPasses(b, op, {.lanes = options.width, .pass = pass});
  }
  Value param = flatten(b, op.getParam()), grad = flatten(b, op.getGrad());
  Values states = llvm::map_to_vector(op.getStates(), [&](Value state) { return flatten(b, state); });
  int64_t total = b.staticDim(param, 0), width = options.width, whole = total / width * width;
  auto emit = [&](Value at, int64_t lanes) {
    emitUpdateAt(b, step, param, states, b.load(grad, {at}, lanes), {at}, lanes, /*means=*/{}, /*run=*/width);
  };
  // Whole vectors.
  int64_t each = llvm::alignTo(tuned(b, tuning::kUpdateElements), width);
  if (whole > each) {
    b.parallel({b.index((whole + each - 1) / each)}, [&](ValueRange chunk) {
      Value low = b.mul(chunk[0], b.index(each)), high = b.min(b.add(low, b.index(each)), b.index(whole));
      b.loop(low, high, [&](Value at) { emit(at, width); }, width);
    });
  } else if (whole > 0) {
    b.loop(b.index(0), b.index(whole), [&](Value at) { emit(at, width); }, width);
  }
  if (whole < total)
    emit(b.index(whole), total - whole);
}

static void emitSumSquares(SumSquaresOp op, LoopBuilder &b, const VectorOptions &options) {
  Value x = flatten(b, op.getX()), total = b.dim(x, 0);
  Value chunks = b.ceilDiv(total, kChunk);
  Value partial = b.heap({ShapedType::kDynamic}, b.getF32Type(), {chunks});
  b.parallel({chunks}, [&](ValueRange chunk) {
    Value low = b.mul(chunk[0], b.index(kChunk)), size = b.min(b.sub(total, low), b.index(kChunk));
    Value sum = b.sumStrips(size, options.width, [&](Value at, int64_t lanes) {
      Value v = b.load(x, {b.add(low, at)}, lanes);
      return b.mul(v, v);
    });
    b.store(sum, partial, chunk);
  });
  emitOrderedSum(b, partial, chunks, op.getSquares());
  b.free(partial);
}

void cpu::emitOrderedSum(LoopBuilder &b, Value partial, Value count, Value result) {
  Type f64 = b.getF64Type();
  Value zero = arith::ConstantOp::create(b, b.getF64FloatAttr(0));
  Value sum = b.loop(b.index(0), count, {zero}, [&](Value i, ValueRange carried) {
    return Values{b.add(carried[0], arith::ExtFOp::create(b, f64, b.load(partial, {i})))};
  })[0];
  b.store(arith::TruncFOp::create(b, b.getF32Type(), sum), result, {});
}

void cpu::addUpdate(LoopEmitters &emitters) {
  emitters.vectors<UpdateOp>({.emit = emitUpdateOp, .reject = rejectUpdate});
  emitters.vectors<SumSquaresOp>({.emit = emitSumSquares, .reject = rejectSumSquares});
}
