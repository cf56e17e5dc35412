//===- PairSort.cpp - sort_pairs, side by side ---------------------------===//
//
// Pairs are first shared out to ranges of experts, then counted and placed within each: a range's counters stay in a cache, and
// threads share neither blocks of pairs nor ranges. Whoever takes which, the order is that of experts, then of pairs.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include "lowering/emit/RoutingBuilder.h"
#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using arith::CmpIPredicate;

static constexpr int64_t kMostRanges = 64;

namespace {
class PairSort {
public:
  PairSort(SortPairsOp op, LoopBuilder &b)
      : op(op), b(b), idx(flatten(b, op.getIdx())), pairs(b.dim(idx, 0)), experts(op.getNumExperts()),
        expertsPerRange(llvm::PowerOf2Ceil(llvm::divideCeil(experts, kMostRanges))),
        ranges(llvm::divideCeil(experts, expertsPerRange)), perBlock(tuned(b, tuning::kSortPairs)),
        blocks(b.ceilDiv(pairs, perBlock)) {}

  void emit();

private:
  void emitShares();
  void emitRange(Value range);
  void emitStarts(Value range, Value before);

  /// buffer[at...] += 1; returns what was there.
  Value countUp(Value buffer, ValueRange at) {
    Value old = b.load(buffer, at);
    b.store(b.add(old, b.i32(1)), buffer, at);
    return old;
  }
  /// The pairs of a block that select an expert.
  void forEachPair(Value block, llvm::function_ref<void(Value pair, Value range)> body) {
    Value low = b.mul(block, b.index(perBlock));
    b.loop(low, b.min(b.add(low, b.index(perBlock)), pairs), [&](Value pair) {
      Value expert = b.load(idx, {pair});
      b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)),
               [&] { body(pair, b.div(b.toIndex(expert), b.index(expertsPerRange))); });
    });
  }
  Value words(Value count) { return b.heap({ShapedType::kDynamic}, b.getI32Type(), {count}); }

  SortPairsOp op;
  LoopBuilder &b;
  Value idx, pairs;
  int64_t experts, expertsPerRange, ranges, perBlock;
  Value blocks;
  // By block and range: how many pairs, then where the next one goes. By range: the pairs in it, where they begin, how many segments;
  // where these begin, with room for one more in each range. By expert: how many pairs, then where the next one goes.
  Value places, grouped, bounds, segments, opened, ends;
};
} // namespace

/// Groups pairs by range, in order.
void PairSort::emitShares() {
  b.parallel({blocks}, [&](ValueRange block) {
    b.loop(ranges, [&](Value range) { b.store(b.i32(0), places, {block[0], range}); });
    forEachPair(block[0], [&](Value, Value range) { countUp(places, {block[0], range}); });
  });
  Value total = b.loop(b.index(0), b.index(ranges), {b.i32(0)}, [&](Value range, ValueRange before) {
    b.store(before[0], bounds, {range});
    return b.loop(b.index(0), blocks, before, [&](Value block, ValueRange carried) {
      Value count = b.load(places, {block, range});
      b.store(carried[0], places, {block, range});
      return Values{b.add(carried[0], count)};
    });
  })[0];
  b.store(total, bounds, {b.index(ranges)});
  b.parallel({blocks}, [&](ValueRange block) {
    forEachPair(block[0], [&](Value pair, Value range) {
      b.store(b.toI32(pair), grouped, {b.toIndex(countUp(places, {block[0], range}))});
    });
  });
}

/// Sorts the pairs of a range of experts.
void PairSort::emitRange(Value range) {
  Value low = b.load(bounds, {range}), high = b.load(bounds, {b.add(range, b.index(1))});
  Value first = b.mul(range, b.index(expertsPerRange));
  Value last = b.min(b.add(first, b.index(expertsPerRange)), b.index(experts));
  auto forEach = [&](llvm::function_ref<void(Value pair, Value expert)> body) {
    b.loop(b.toIndex(low), b.toIndex(high), [&](Value i) {
      Value pair = b.load(grouped, {i});
      body(pair, b.toIndex(b.load(idx, {b.toIndex(pair)})));
    });
  };
  b.loop(first, last, [&](Value expert) { b.store(b.i32(0), ends, {expert}); });
  forEach([&](Value, Value expert) { countUp(ends, {expert}); });
  // Each expert writes where its segment would begin, and the next one over it if there is none: most have no pair, and which
  // ones cannot be foretold.
  Value begin = b.add(low, b.toI32(range));
  Value end = b.loop(first, last, {low, begin}, [&](Value expert, ValueRange carried) {
    Value count = b.load(ends, {expert});
    b.store(carried[0], ends, {expert});
    b.store(carried[0], opened, {b.toIndex(carried[1])});
    Value touched = b.cmp(CmpIPredicate::sgt, count, b.i32(0));
    return Values{b.add(carried[0], count), b.add(carried[1], b.select(touched, b.i32(1), b.i32(0)))};
  })[1];
  b.store(b.sub(end, begin), segments, {range});
  forEach([&](Value pair, Value expert) { b.store(pair, op.getOrder(), {b.toIndex(countUp(ends, {expert}))}); });
}

/// Moves a range's places of segments behind those of the ranges before it.
void PairSort::emitStarts(Value range, Value before) {
  Value from = b.add(b.toIndex(b.load(bounds, {range})), range), to = b.toIndex(before);
  b.loop(b.toIndex(b.load(segments, {range})),
         [&](Value i) { b.store(b.load(opened, {b.add(from, i)}), op.getStarts(), {b.add(to, i)}); });
}

void PairSort::emit() {
  places = b.heap({ShapedType::kDynamic, ranges}, b.getI32Type(), {blocks});
  grouped = words(pairs);
  opened = words(b.add(pairs, b.index(ranges)));
  bounds = words(b.index(ranges + 1));
  segments = words(b.index(ranges));
  ends = words(b.index(experts));
  emitShares();
  b.parallel({b.index(ranges)}, [&](ValueRange range) { emitRange(range[0]); });
  Value total = b.loop(b.index(0), b.index(ranges), {b.i32(0)}, [&](Value range, ValueRange before) {
    emitStarts(range, before[0]);
    return Values{b.add(before[0], b.load(segments, {range}))};
  })[0];
  b.store(total, op.getCount(), {b.index(0)});
  b.store(b.load(bounds, {b.index(ranges)}), op.getCount(), {b.index(1)});
  for (Value buffer : {places, grouped, opened, bounds, segments, ends})
    b.free(buffer);
}

static void emitSortPairs(SortPairsOp op, LoopBuilder &b, const VectorOptions &) { PairSort(op, b).emit(); }

static const char *rejectSortPairs(SortPairsOp op) {
  return isDense(op.getIdx(), 0) ? nullptr : "indices are not dense";
}

void cpu::addPairSort(LoopEmitters &emitters) {
  emitters.vectors<SortPairsOp>({.emit = emitSortPairs, .reject = rejectSortPairs});
}
