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
using arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// expert_load
//===----------------------------------------------------------------------===//

static void launchLoad(ExpertLoadOp op, LoopBuilder &host) {
  Value idx = op.getIdx(), load = flatten(host, op.getLoad());
  int64_t halves = op.getHalves(), n = op.getKeys(), keys = halves * n, heads = host.staticDim(idx, 1);
  int64_t ranks = op.getFirst() ? std::min<int64_t>(host.staticDim(idx, 2), 1) : host.staticDim(idx, 2);
  // Behind the counts of keys is that of pairs.
  Value counts = host.heap({keys + 1}, host.getI32Type());
  launchForEach(host, host.index(keys + 1), [&](BlockBuilder &b, Value i) { b.store(b.i32(0), counts, {i}); });
  if (heads * ranks > 0)
    launchForEach(host, host.mul(host.dim(idx, 0), host.index(heads * ranks)), [&](BlockBuilder &b, Value i) {
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
  launchForEach(host, host.index(keys), [&](BlockBuilder &b, Value i) {
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
  RankedPair ranked(BlockBuilder &b, Value pair) const {
    return {pair, emitScore(b, b.load(weights, {pair})), b.rem(pair, b.index(ranks))};
  }
  std::pair<Value, Value> segmentOf(BlockBuilder &b, Value entry, Value pairs) const;
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
    RankedPair mine = ranked(b, pair);
    dropIf(b.loop(low, high, {b.index(0)}, [&](Value other, ValueRange before) {
      Value ahead = emitPrecedes(b, priority, ranked(b, pairAt(b, other)), mine);
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
  Value capacity = emitCapacity(host, op);
  emitSortedPairs(host, idx, sorted.experts, sorted.order, sorted.starts, sorted.count);
  launchForEach(host, pairs, [&](BlockBuilder &b, Value pair) {
    Value expert = b.load(idx, {pair}), none = b.cmp(CmpIPredicate::slt, expert, b.i32(0));
    b.store(b.select(none, b.i32(-1), expert), sorted.kept, {pair});
    b.store(b.select(none, b.f32(0), b.load(sorted.weights, {pair})), sorted.keptWeights, {pair});
  });
  launchForEach(host, pairs, [&](BlockBuilder &b, Value entry) {
    Value valid = b.toIndex(b.load(sorted.count, {b.index(1)}));
    b.ifThen(b.cmp(CmpIPredicate::ult, entry, valid), [&] { sorted.drop(b, entry, valid, capacity); });
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
