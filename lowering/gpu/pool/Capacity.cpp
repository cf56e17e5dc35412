//===- Capacity.cpp - expert_load and capacity over the whole device -----===//
//
// Counts are integers, which blocks may add in any order. Of a capacity each thread takes a pair of the sorted ones and counts
// which pairs of its expert come before it: nothing is sorted by priority, and experts with room for all of theirs cost
// no more than the sort.
//
//===----------------------------------------------------------------------===//

#include "PoolSort.h"
#include "lowering/gpu/Emitters.h"

#include "lowering/emit/Capacity.h"
#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/RoutingBuilder.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

/// The thread's number in its launch.
static Value globalThread(BlockBuilder &b, Value block) { return b.add(b.mul(block, b.index(kThreads)), b.thread()); }

//===----------------------------------------------------------------------===//
// expert_load
//===----------------------------------------------------------------------===//

static void launchLoad(ExpertLoadOp op, LoopBuilder &host) {
  Value idx = op.getIdx(), load = flatten(host, op.getLoad());
  int64_t halves = op.getHalves(), n = op.getKeys(), keys = halves * n, heads = host.staticDim(idx, 1);
  int64_t ranks = op.getFirst() ? std::min<int64_t>(host.staticDim(idx, 2), 1) : host.staticDim(idx, 2);
  // Behind the counts of keys is that of pairs.
  Value counts = host.heap({keys + 1}, host.getI32Type());
  auto forAll = [&](Value count, llvm::function_ref<void(BlockBuilder &, Value)> body) {
    emitLaunch(host, host.ceilDiv(count, kThreads), kThreads, [&](BlockBuilder &b, Value block) {
      Value i = globalThread(b, block);
      b.onEachThread([&] { b.ifThen(b.cmp(CmpIPredicate::ult, i, count), [&] { body(b, i); }); });
    });
  };
  forAll(host.index(keys + 1), [&](BlockBuilder &b, Value i) { b.store(b.i32(0), counts, {i}); });
  if (heads * ranks > 0)
    forAll(host.mul(host.dim(idx, 0), host.index(heads * ranks)), [&](BlockBuilder &b, Value i) {
      Value expert = b.load(idx, emitPairPlace(b, i, b.index(heads), b.index(ranks)));
      auto count = [&](Value at) {
        memref::AtomicRMWOp::create(b, arith::AtomicRMWKind::addi, b.i32(1), counts, ValueRange{at});
      };
      b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
        for (int64_t p = 0; p < halves; ++p)
          count(b.add(b.index(p * n), emitKeyOf(b, b.toIndex(expert), p, halves, n)));
        count(b.index(keys));
      });
    });
  forAll(host.index(keys), [&](BlockBuilder &b, Value i) {
    Value pairs = b.toF32(b.max(b.load(counts, {b.index(keys)}), b.i32(1)));
    b.store(b.div(b.toF32(b.load(counts, {i})), pairs), load, {i});
  });
  host.free(counts);
}

static const char *rejectLoad(ExpertLoadOp op) {
  return isDense(op.getLoad(), 0) ? nullptr : "the load does not flatten";
}

//===----------------------------------------------------------------------===//
// capacity
//===----------------------------------------------------------------------===//

namespace {
/// Pairs in the order of their experts.
struct Sorted {
  Value idx, weights, kept, keptWeights, order, starts, count;
  int64_t experts, ranks;
  Priority priority;

  Value pairAt(BlockBuilder &b, Value entry) const { return b.toIndex(b.load(order, {entry})); }
  Value weightOf(BlockBuilder &b, Value pair) const { return emitScore(b, b.load(weights, {pair})); }
  std::pair<Value, Value> segmentOf(BlockBuilder &b, Value entry, Value pairs) const;
  Value precedes(BlockBuilder &b, Value x, Value y, Value weightOfY) const;
  void drop(BlockBuilder &b, Value entry, Value pairs, Value capacity) const;
};
} // namespace

/// The first and the last but one entry of the segment that an entry is in, by bisection.
std::pair<Value, Value> Sorted::segmentOf(BlockBuilder &b, Value entry, Value pairs) const {
  Value one = b.index(1), segments = b.toIndex(b.load(count, {b.index(0)}));
  auto startOf = [&](Value segment) { return b.toIndex(b.load(starts, {segment})); };
  int64_t steps = llvm::Log2_64_Ceil(std::max<int64_t>(experts, 1)) + 1;
  Value segment = b.loop(b.index(0), b.index(steps), {b.index(0), b.sub(segments, one)}, [&](Value, ValueRange range) {
    Value middle = b.div(b.add(b.add(range[0], range[1]), one), b.index(2));
    Value right = b.cmp(CmpIPredicate::ule, startOf(middle), entry);
    return Values{b.select(right, middle, range[0]), b.select(right, range[1], b.sub(middle, one))};
  })[0];
  Value next = b.add(segment, one), isLast = b.cmp(CmpIPredicate::uge, next, segments);
  return {startOf(segment), b.select(isLast, pairs, startOf(b.select(isLast, segment, next)))};
}

/// Whether pair x of an expert is taken before its pair y.
Value Sorted::precedes(BlockBuilder &b, Value x, Value y, Value weightOfY) const {
  Value weight = weightOf(b, x), earlier = b.cmp(CmpIPredicate::ult, x, y);
  Value larger = b.cmp(CmpFPredicate::OGT, weight, weightOfY), equal = b.cmp(CmpFPredicate::OEQ, weight, weightOfY);
  Value byWeight = either(b, larger, both(b, equal, earlier));
  if (priority == Priority::Probability)
    return byWeight;
  Value rankOfX = b.rem(x, b.index(ranks)), rankOfY = b.rem(y, b.index(ranks));
  return either(b, b.cmp(CmpIPredicate::ult, rankOfX, rankOfY),
                both(b, b.cmp(CmpIPredicate::eq, rankOfX, rankOfY), byWeight));
}

void Sorted::drop(BlockBuilder &b, Value entry, Value pairs, Value capacity) const {
  auto [first, last] = segmentOf(b, entry, pairs);
  Value low = first, high = last, pair = pairAt(b, entry);
  auto dropIf = [&](Value before) {
    b.ifThen(b.cmp(CmpIPredicate::uge, before, capacity), [&] {
      b.store(b.i32(-1), kept, {pair});
      b.store(b.f32(0), keptWeights, {pair});
    });
  };
  // Pairs of a segment are in their own order.
  if (priority == Priority::Token)
    return dropIf(b.sub(entry, low));
  b.ifThen(b.cmp(CmpIPredicate::ugt, b.sub(high, low), capacity), [&] {
    Value weight = weightOf(b, pair);
    dropIf(b.loop(low, high, {b.index(0)}, [&](Value other, ValueRange before) {
      Value ahead = precedes(b, pairAt(b, other), pair, weight);
      return Values{b.add(before[0], b.select(ahead, b.index(1), b.index(0)))};
    })[0]);
  });
}

static void launchCapacity(CapacityOp op, LoopBuilder &host) {
  Value idx = flatten(host, op.getIdx()), pairs = sizeOf(host, idx);
  auto scratch = [&](Value size) { return host.heap({ShapedType::kDynamic}, host.getI32Type(), {size}); };
  Sorted sorted{idx,
                flatten(host, op.getWeights()),
                flatten(host, op.getKept()),
                flatten(host, getOutputAt(op, 1)),
                scratch(pairs),
                scratch(pairs),
                scratch(host.index(2)),
                int64_t(op.getExperts()),
                host.staticDim(op.getIdx(), 2),
                op.getPriority()};
  Value capacity = emitCapacity(host, op), blocks = host.ceilDiv(pairs, kThreads);
  emitSortedPairs(host, idx, sorted.experts, sorted.order, sorted.starts, sorted.count);
  emitLaunch(host, blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Value pair = globalThread(b, block);
    b.onEachThread([&] {
      b.ifThen(b.cmp(CmpIPredicate::ult, pair, pairs), [&] {
        Value expert = b.load(idx, {pair}), none = b.cmp(CmpIPredicate::slt, expert, b.i32(0));
        b.store(b.select(none, b.i32(-1), expert), sorted.kept, {pair});
        b.store(b.select(none, b.f32(0), b.load(sorted.weights, {pair})), sorted.keptWeights, {pair});
      });
    });
  });
  emitLaunch(host, blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Value entry = globalThread(b, block), valid = b.toIndex(b.load(sorted.count, {b.index(1)}));
    b.onEachThread(
        [&] { b.ifThen(b.cmp(CmpIPredicate::ult, entry, valid), [&] { sorted.drop(b, entry, valid, capacity); }); });
  });
  for (Value buffer : {sorted.order, sorted.starts, sorted.count})
    host.free(buffer);
}

static const char *rejectCapacity(CapacityOp op) {
  for (Value buffer : op->getOperands())
    if (!isDense(buffer, 0))
      return "idx, weights or what is kept do not flatten";
  return nullptr;
}

void device::addCapacity(Emitters &emitters) {
  emitters.grid<ExpertLoadOp>({.emit = launchLoad, .reject = rejectLoad});
  emitters.grid<CapacityOp>({.emit = launchCapacity, .reject = rejectCapacity});
}
