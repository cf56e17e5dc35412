//===- Loss.cpp - cross entropy and mean ---------------------------------===//

#include "Elementwise.h"
#include "Reject.h"
#include "lowering/gpu/block/Alignment.h"

#include "dialect/ops/Check.h"
#include "lowering/emit/RoutingBuilder.h"
#include "lowering/nn/Emit.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// Cross entropy
//===----------------------------------------------------------------------===//

namespace {
/// The warp or, for long rows, the block that works on one row of logits: maximum and sum of exponentials in one pass.
struct LogitRow {
  BlockBuilder &b;
  Value logits, t;
  int64_t size, lanes;
  bool wholeBlock;

  /// Elements of the thread, `lanes` at a time.
  Values walk(ValueRange init, llvm::function_ref<Values(Value at, ValueRange carried)> body);
  /// The row's maximum, and the sum of exp(logit - maximum).
  std::pair<Value, Value> reduce();
};
} // namespace

/// Rows up to this long are left to a warp, longer ones have a block each.
static constexpr int64_t kWarpRow = 1024;

Values LogitRow::walk(ValueRange init, llvm::function_ref<Values(Value, ValueRange)> body) {
  Value first = b.mul(wholeBlock ? b.thread() : b.lane(), b.index(lanes));
  int64_t step = lanes * (wholeBlock ? b.threads() : kWarpSize);
  // The same number of steps for all threads can be unrolled.
  bool even = size % step == 0;
  return b.loop(
      even ? b.index(0) : first, b.index(size), init,
      [&](Value at, ValueRange carried) { return body(even ? b.add(at, first) : at, carried); }, step);
}

std::pair<Value, Value> LogitRow::reduce() {
  // The sum so far is rescaled when the maximum moves. It begins below every finite logit: a difference to -inf would
  // be no number where all logits so far are -inf.
  Value lowest = b.f32(std::numeric_limits<float>::lowest());
  Values mine = walk({lowest, b.f32(0)}, [&](Value at, ValueRange carried) {
    Value v = b.load(logits, {t, at}, lanes);
    Value highest = b.max(carried[0], b.maxLanes(v));
    Value terms = b.exp(b.sub(v, b.splat(highest, v.getType())));
    Value scaled = b.mul(carried[1], b.exp(b.sub(carried[0], highest)));
    return Values{highest, b.add(scaled, b.sumLanes(terms))};
  });
  Value highest = wholeBlock ? b.blockMax(mine[0]) : b.warpMax(mine[0]);
  Value scaled = b.mul(mine[1], b.exp(b.sub(mine[0], highest)));
  return {highest, wholeBlock ? b.blockSum(scaled) : b.warpSum(scaled)};
}

/// Runs `body` for the rows of the tile, each by a warp or by the block.
template <typename OpTy>
static void forLogitRows(OpTy op, BlockBuilder &b, llvm::function_ref<void(LogitRow)> body) {
  Value logits = op.getLogits();
  int64_t size = b.staticDim(logits, 1);
  auto emit = [&](Value t) { body(LogitRow{b, logits, t, size, alignedLanes(op, size), size > kWarpRow}); };
  if (size > kWarpRow)
    b.loop(b.dim(logits, 0), emit);
  else
    b.rows(b.dim(logits, 0), emit);
}

static void emitCrossEntropy(CrossEntropyOp op, BlockBuilder &b) {
  forLogitRows(op, b, [&](LogitRow row) {
    auto [highest, sum] = row.reduce();
    // The difference to the maximum first: both terms are then as small as the loss.
    Value target = b.load(op.getLogits(), {row.t, b.toIndex(b.load(op.getTargets(), row.t))});
    b.store(b.add(b.log(sum), b.sub(highest, target)), op.getLoss(), row.t);
  });
}

static void emitCrossEntropyGrad(CrossEntropyGradOp op, BlockBuilder &b) {
  forLogitRows(op, b, [&](LogitRow row) {
    auto [highest, sum] = row.reduce();
    Value target = b.load(op.getTargets(), row.t), dloss = b.load(op.getDloss(), row.t), scale = b.div(dloss, sum);
    // Each thread stores over what it alone has read: the gradient may take the place of the logits.
    b.onEachThread([&, highest = highest] {
      row.walk({}, [&](Value at, ValueRange) {
        Value v = b.load(op.getLogits(), {row.t, at}, row.lanes);
        Type type = v.getType();
        Value e = b.mul(b.exp(b.sub(v, b.splat(highest, type))), b.splat(scale, type));
        Value offset = b.sub(target, b.toI32(at));
        Value here;
        if (row.lanes == 1) {
          here = b.cmp(CmpIPredicate::eq, offset, b.i32(0));
        } else {
          auto numbers = llvm::to_vector(llvm::seq<int32_t>(0, row.lanes));
          Value positions = arith::ConstantOp::create(b, b.getI32VectorAttr(numbers));
          here = b.cmp(CmpIPredicate::eq, b.splat(offset, positions.getType()), positions);
        }
        b.store(b.select(here, b.sub(e, b.splat(dloss, type)), e), op.getDlogits(), {row.t, at});
        return Values();
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// Mean
//===----------------------------------------------------------------------===//

/// Elements that a block adds up.
static constexpr int64_t kMeanElements = 4096;

/// The sum of x[low, high) over the threads of the block, in a fixed order.
static Value emitBlockSum(BlockBuilder &b, Value x, Value low, Value high) {
  Value mine = b.loop(
      b.add(low, b.thread()), high, b.f32(0),
      [&](Value at, ValueRange carried) { return Values{b.add(carried[0], b.load(x, at))}; }, b.threads())[0];
  return b.blockSum(mine);
}

static void launchMean(MeanOp op, LoopBuilder &host) {
  Value x = op.getX(), size = host.dim(x, 0), zero = host.index(0), part = host.index(kMeanElements);
  auto finish = [&](BlockBuilder &b, Value sum) {
    // An empty sum is 0, and so is its mean.
    b.store(b.div(sum, b.max(nn::emitCount(b, size), b.f32(1))), op.getMean(), {});
  };
  int64_t known = host.staticDim(x, 0);
  if (!ShapedType::isDynamic(known) && known <= kMeanElements)
    return emitLaunch(host, host.index(1), kThreads,
                      [&](BlockBuilder &b, Value) { finish(b, emitBlockSum(b, x, zero, size)); });
  Value parts = host.ceilDiv(size, kMeanElements);
  Value partial = host.heap({ShapedType::kDynamic}, host.getF32Type(), parts);
  emitLaunch(host, parts, kThreads, [&](BlockBuilder &b, Value block) {
    Value low = b.mul(block, part);
    b.store(emitBlockSum(b, x, low, b.min(b.add(low, part), size)), partial, block);
  });
  emitLaunch(host, host.index(1), kThreads,
             [&](BlockBuilder &b, Value) { finish(b, emitBlockSum(b, partial, zero, parts)); });
  host.free(partial);
}

static void launchMeanGrad(MeanGradOp op, LoopBuilder &host) {
  Value dx = op.getDx(), size = host.dim(dx, 0), part = host.index(kMeanElements);
  Value parts = host.ceilDiv(size, kMeanElements);
  emitLaunch(host, parts, kThreads, [&](BlockBuilder &b, Value block) {
    Value share = b.div(b.load(op.getDmean(), {}), b.max(nn::emitCount(b, size), b.f32(1)));
    Value low = b.mul(block, part), high = b.min(b.add(low, part), size);
    b.forThreads(b.sub(high, low), [&](Value at) { b.store(share, dx, b.add(low, at)); });
  });
}

template <typename OpTy>
static std::optional<TileSizes> logitTiles(OpTy op) {
  return tile({{"t", dimOf(op.getLogits(), 1) > kWarpRow ? 1 : kThreads / kWarpSize}});
}

void device::addLosses(Emitters &emitters) {
  emitters.block<CrossEntropyOp>({.emit = emitCrossEntropy,
                                  .reject = rejectDynamicColumns<CrossEntropyOp>,
                                  .tileSizes = logitTiles<CrossEntropyOp>});
  emitters.block<CrossEntropyGradOp>({.emit = emitCrossEntropyGrad,
                                      .reject = rejectDynamicRows<CrossEntropyGradOp>,
                                      .tileSizes = logitTiles<CrossEntropyGradOp>});
  emitters.grid<MeanOp>({.emit = launchMean});
  emitters.grid<MeanGradOp>({.emit = launchMeanGrad});
}
