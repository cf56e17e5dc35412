//===- Update.cpp - optimizer steps and sums of squares on GPUs ----------===//

#include "Update.h"

#include "lowering/emit/UpdatePasses.h"

#include "lowering/gpu/block/Scan.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// Elements of one access: 16 bytes of f32.
static constexpr int64_t kLanes = 4;
/// Elements that one block sums alone.
static constexpr int64_t kFewElements = 16384;
static constexpr int64_t kSumThreads = 1024;

//===----------------------------------------------------------------------===//
// Shared with the pool's row pass
//===----------------------------------------------------------------------===//

// The corrections are 63 dependent steps in f64: once for a block, not by each of its threads.
OptimizerStep device::emitBlockStep(BlockBuilder &b, OptimizerAttrInterface optimizer, Value table, Value rate,
                                    Value step, Value scale) {
  OptimizerStep result;
  Value numbers = b.shared({2 + OptimizerStep::kMostNumbers}, b.getF32Type());
  SmallVector<Value *> places;
  b.onOneThread([&] {
    result = emitOptimizerStep(b, optimizer, table, rate, step, scale);
    places = {&result.rate, &result.scale};
    for (Value &number : result.numbers)
      places.push_back(&number);
    for (auto [i, place] : llvm::enumerate(places))
      b.store(*place, numbers, {b.index(int64_t(i))});
  });
  b.barrier();
  for (auto [i, place] : llvm::enumerate(places))
    *place = b.load(numbers, {b.index(int64_t(i))});
  result.seed = emitRoundingSeed(b, optimizer, table, step);
  return result;
}

Sums::Sums(BlockBuilder &b) : slots(b.shared({b.threads()}, b.getF64Type())) {
  Value zero = arith::ConstantOp::create(b, b.getF64FloatAttr(0)), thread = b.thread();
  b.onEachThread([&] { b.store(zero, slots, {thread}); });
}

void Sums::addSquares(BlockBuilder &b, Value v) {
  add(b, arith::ExtFOp::create(b, b.getF64Type(), b.sumLanes(b.mul(v, v))));
}

void Sums::add(BlockBuilder &b, Value v) {
  Value thread = b.thread();
  b.onEachThread([&] { b.store(b.add(b.load(slots, {thread}), v), slots, {thread}); });
}

Value Sums::total(BlockBuilder &b) { return emitBlockSum64(b, slots); }

static void storeSum(BlockBuilder &b, Value sum, Value result) {
  b.store(arith::TruncFOp::create(b, b.getF32Type(), sum), result, {});
}

void device::launchSum(LoopBuilder &host, Value partial, Value count, Value result) {
  emitLaunch(host, host.index(1), kSumThreads, [&](BlockBuilder &b, Value) {
    Sums sums(b);
    b.forThreads(count, [&](Value i) { sums.add(b, b.load(partial, {i})); });
    storeSum(b, sums.total(b), result);
  });
}

//===----------------------------------------------------------------------===//
// The ops
//===----------------------------------------------------------------------===//

/// Blocks for a pass over `elements`, four vectors per thread: no more than there are at once.
static Value blocksFor(LoopBuilder &host, Value elements, const GpuInfo &gpu) {
  return host.min(host.ceilDiv(elements, kThreads * kLanes * 4), host.index(gpu.blocksAtOnce(kThreads)));
}

/// All elements of rank-1 buffers: vectors where `wide`, then what is left.
static void forElements(BlockBuilder &b, Value block, Value blocks, Value elements, bool wide,
                        llvm::function_ref<void(Value at, int64_t lanes)> body) {
  Value whole = b.index(0), lanes = b.index(kLanes);
  if (wide) {
    Value vectors = b.div(elements, lanes);
    forGrid(b, block, blocks, vectors, [&](Value i) { body(b.mul(i, lanes), kLanes); });
    whole = b.mul(vectors, lanes);
  }
  forGrid(b, block, blocks, b.sub(elements, whole), [&](Value i) { body(b.add(whole, i), 1); });
}

/// A warp for each unit of a pass, a launch for each pass.
static void emitPasses(UpdateOp op, LoopBuilder &host, const GpuInfo &gpu) {
  bool wide = columnsInPasses(op) % kLanes == 0 && isAligned(op.getParam()) && isAligned(op.getGrad()) &&
              llvm::all_of(op.getStates(), isAligned);
  auto pass = [&](int64_t count, int64_t, PassTarget::Unit body) {
    int64_t perBlock = std::max(kThreads / kWarpSize, int64_t(llvm::divideCeil(count, gpu.blocksAtOnce(kThreads))));
    emitLaunch(host, host.index(llvm::divideCeil(count, perBlock)), kThreads, [&](BlockBuilder &b, Value block) {
      OptimizerStep step =
          emitBlockStep(b, op.getOptimizer(), op.getParam(), op.getLearningRate(), op.getStep(), op.getScale());
      Value first = b.mul(block, b.index(perBlock)), here = b.min(b.index(perBlock), b.sub(b.index(count), first));
      b.rows(here, [&](Value i) { body(b, step, b.add(first, i)); });
    });
  };
  emitUpdateInPasses(host, op, {.lanes = wide ? kLanes : 1, .pass = pass});
}

static void emitUpdateOp(UpdateOp op, LoopBuilder &host, const GpuInfo &gpu) {
  if (isInPasses(op))
    return emitPasses(op, host, gpu);
  bool wide = isAligned(op.getParam()) && isAligned(op.getGrad()) && llvm::all_of(op.getStates(), isAligned);
  Value param = flatten(host, op.getParam()), grad = flatten(host, op.getGrad());
  Values states = llvm::map_to_vector(op.getStates(), [&](Value state) { return flatten(host, state); });
  Value elements = sizeOf(host, param), blocks = blocksFor(host, elements, gpu);
  emitLaunch(host, blocks, kThreads, [&](BlockBuilder &b, Value block) {
    OptimizerStep step =
        emitBlockStep(b, op.getOptimizer(), op.getParam(), op.getLearningRate(), op.getStep(), op.getScale());
    forElements(b, block, blocks, elements, wide, [&](Value at, int64_t lanes) {
      emitUpdateAt(b, step, param, states, b.loadWide(grad, {at}, lanes, wide), {at}, lanes, /*means=*/{},
                   /*run=*/kLanes);
    });
  });
}

static void emitSumSquares(SumSquaresOp op, LoopBuilder &host, const GpuInfo &gpu) {
  bool wide = isAligned(op.getX());
  Value x = flatten(host, op.getX()), elements = sizeOf(host, x), result = op.getSquares();
  auto sum = [&](BlockBuilder &b, Value block, Value blocks) {
    Sums sums(b);
    forElements(b, block, blocks, elements, wide,
                [&](Value at, int64_t lanes) { sums.addSquares(b, b.loadWide(x, {at}, lanes, wide)); });
    return sums.total(b);
  };
  if (auto constant = getConstantIntValue(elements); constant && *constant <= kFewElements) {
    emitLaunch(host, host.index(1), kThreads,
               [&](BlockBuilder &b, Value block) { storeSum(b, sum(b, block, b.index(1)), result); });
    return;
  }
  Value blocks = blocksFor(host, elements, gpu);
  Value partial = host.heap({ShapedType::kDynamic}, host.getF64Type(), {blocks});
  emitLaunch(host, blocks, kThreads,
             [&](BlockBuilder &b, Value block) { b.store(sum(b, block, blocks), partial, {block}); });
  launchSum(host, partial, blocks, result);
  host.free(partial);
}

void device::addUpdate(Emitters &emitters) {
  emitters.grid<UpdateOp>({.emit = emitUpdateOp, .reject = rejectUpdate});
  emitters.grid<SumSquaresOp>({.emit = emitSumSquares, .reject = rejectSumSquares});
}
