//===- PoolGrad.cpp - plain loops of sort_pairs, pool_grad, pool_grad_norm ===//

#include "Loops.h"

#include "lowering/emit/OptimizerStep.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;

static void emitSortPairs(SortPairsOp op, LoopBuilder &b) {
  Value starts = op.getStarts(), count = op.getCount();
  Value ends = b.heap({int64_t(op.getNumExperts())}, b.getI32Type());
  SortedPairs sorted = emitPairSort(b, op.getIdx(), op.getOrder(), ends,
                                    [&](Value segment, Value start) { b.store(start, starts, {b.toIndex(segment)}); });
  b.store(sorted.segments, count, {b.index(0)});
  b.store(sorted.pairs, count, {b.index(1)});
  b.free(ends);
}

using UseGradient = llvm::function_ref<void(Value row, Value f, Value d, Value gradient)>;
/// body(pool row, goOver): goOver goes over the elements of the row.
using UseRow = llvm::function_ref<void(Value row, llvm::function_ref<void(UseGradient)> goOver)>;

/// For each touched row, with its elements' gradients summed in pair order.
static void forEachRow(LoopBuilder &b, const RowGrad &grad, UseRow body) {
  b.loop(grad.segments, [&](Value s) {
    Segment segment = emitSegment(b, grad, s);
    b.loop(grad.rowsPerExpert, [&](Value j) {
      Value row = b.add(b.mul(segment.expert, b.index(grad.rowsPerExpert)), j);
      body(row, [&](UseGradient use) {
        for (int64_t f = 0; f < grad.vectors; ++f)
          b.loop(grad.width, [&](Value d) {
            Value gradient = b.loop(segment.begin, segment.end, {b.f32(0)}, [&](Value p, ValueRange carried) {
              auto [coef, token] = emitPair(b, grad, p, j, f);
              return Values{b.add(carried[0], b.mul(coef, b.load(grad.source(f), {token, d})))};
            })[0];
            use(row, b.index(f), d, gradient);
          });
      });
    });
  });
}

/// For each element of each touched row: body(pool row, f, d, gradient).
static void forEachGradient(LoopBuilder &b, const RowGrad &grad, UseGradient body) {
  forEachRow(b, grad, [&](Value, llvm::function_ref<void(UseGradient)> goOver) { goOver(body); });
}

static void emitPoolGrad(PoolGradOp op, LoopBuilder &b) {
  Value dpool = op.getDpool();
  fillZero(b, dpool);
  forEachGradient(b, emitRowGrad(b, op),
                  [&](Value row, Value f, Value d, Value gradient) { b.store(gradient, dpool, {row, f, d}); });
}

static void emitPoolGradNorm(PoolGradNormOp op, LoopBuilder &b) {
  emitSquares(b, op.getSquares(), [&](llvm::function_ref<void(Value)> add) {
    forEachGradient(b, emitRowGrad(b, op), [&](Value, Value, Value, Value gradient) { add(gradient); });
  });
}

static void emitRowUpdate(RowUpdateOp op, LoopBuilder &b) {
  OptimizerStep step =
      emitOptimizerStep(b, op.getOptimizer(), op.getPool(), op.getLearningRate(), op.getStep(), op.getScale());
  RowGrad grad = emitRowGrad(b, op);
  Value squares = step.hasMeans() ? b.stack({}, b.getF32Type()) : Value();
  forEachRow(b, grad, [&](Value row, llvm::function_ref<void(UseGradient)> goOver) {
    Values means;
    if (squares) {
      b.store(b.f32(0), squares, {});
      goOver([&](Value, Value, Value, Value gradient) {
        b.store(b.add(b.load(squares, {}), emitSquare(b, step, gradient)), squares, {});
      });
      means = emitRowStates(b, step, op.getStates(), row,
                            b.div(b.load(squares, {}), b.f32(double(grad.vectors * grad.width))));
    }
    goOver([&](Value row, Value f, Value d, Value gradient) {
      emitUpdateAt(b, step, op.getPool(), op.getStates(), gradient, {row, f, d}, 1, means);
    });
  });
}

void loops::addPoolGrad(LoopEmitters &emitters) {
  emitters.loops<SortPairsOp>(emitSortPairs);
  emitters.loops<PoolGradOp>(emitPoolGrad);
  emitters.loops<PoolGradNormOp>(emitPoolGradNorm);
  emitters.loops<RowUpdateOp>(emitRowUpdate);
}
