//===- MixRows.cpp - the pool rows of a token, in groups -----------------===//

#include "MixRows.h"

#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpIPredicate;

/// Rows listed at a time, at most: about ten arrays of this many words are on the stack.
static constexpr int64_t kMostRows = 4096;
/// Rows of a group at most: they and what is fetched meanwhile stay in L2, and sums are seldom stored.
static constexpr int64_t kMostGroupRows = 128;
/// Rows between a fetch and the use: they cover an access to memory and stay in L2.
static constexpr int64_t kFewestRowsAhead = 4, kMostRowsAhead = 16;

MixRows::MixRows(LoopBuilder &b, Value idx, const StoredTable &pool, int64_t rowsPerExpert, int64_t width,
                 bool dotsOfAll)
    : idx(idx), pool(pool), pairs(b.staticDim(idx, 1) * b.staticDim(idx, 2)), rowsPerExpert(rowsPerExpert),
      width(width), dotsOfAll(dotsOfAll) {
  int64_t bytes = bytesOf(pool.width) * b.staticDim(pool.table, 1);
  group = std::clamp<int64_t>(tuned(b, tuning::kMixGroup) * 1024 / bytes / 16 * 16, 16, kMostGroupRows);
  ahead = std::clamp<int64_t>(tuned(b, tuning::kMixAhead) / bytes, kFewestRowsAhead, kMostRowsAhead);
  chunk = std::min(kMostRows, total());
  padded = llvm::alignTo(chunk, width);
  beyond = dotsOfAll ? std::max(ahead, std::min(group, chunk)) : ahead;
  numbers = b.stack({padded + beyond}, b.getIndexType());
}

Value MixRows::pairOf(LoopBuilder &b, Value number) const {
  return rowsPerExpert == 1 ? number : b.div(number, b.index(rowsPerExpert));
}

MixRows::Row MixRows::rowOf(LoopBuilder &b, Value token, Value number) const {
  Row result;
  result.pair = pairOf(b, number);
  Value expert = b.load(flatSlice(b, idx, {token}), {result.pair});
  result.valid = b.cmp(CmpIPredicate::sge, expert, b.i32(0));
  result.row = b.toIndex(expert);
  if (rowsPerExpert > 1)
    result.row = b.add(b.mul(result.row, b.index(rowsPerExpert)), b.rem(number, b.index(rowsPerExpert)));
  return result;
}

void MixRows::listLater(LoopBuilder &b, Value token, Value end, Value listed) const {
  Value most = b.index(total() - 1), next = b.min(b.add(token, b.index(1)), b.sub(b.dim(idx, 0), b.index(1)));
  b.loop(beyond, [&](Value i) {
    Value number = b.min(i, most), of = next;
    if (!isOneChunk()) {
      Value after = b.add(end, i), inToken = b.cmp(CmpIPredicate::ule, after, most);
      number = b.select(inToken, after, number);
      of = b.select(inToken, token, next);
    }
    Row row = rowOf(b, of, number);
    b.store(b.select(row.valid, row.row, b.index(0)), numbers, {b.add(listed, i)});
  });
}

void MixRows::forEachChunk(LoopBuilder &b, Value token, llvm::function_ref<void(Value, Value, Value)> note,
                           llvm::function_ref<void(Value)> body) const {
  auto emit = [&](Value first, Value count) {
    Value listed = b.loop(b.index(0), count, {b.index(0)}, [&](Value i, ValueRange carried) {
      Value number = b.add(first, i);
      Row row = rowOf(b, token, number);
      b.store(row.row, numbers, {carried[0]});
      note(carried[0], number, row.pair);
      return Values{b.add(carried[0], b.select(row.valid, b.index(1), b.index(0)))};
    })[0];
    listLater(b, token, b.add(first, count), listed);
    body(listed);
  };
  if (isOneChunk())
    return emit(b.index(0), b.index(total()));
  auto some = [&](Value first) { emit(first, b.min(b.sub(b.index(total()), first), b.index(chunk))); };
  b.loop(b.index(0), b.index(total()), some, chunk);
}

void MixRows::forEachGroup(LoopBuilder &b, Value listed, llvm::function_ref<void(Value, Value)> body) const {
  b.loop(b.index(0), listed, [&](Value first) { body(first, b.min(b.add(first, b.index(group)), listed)); }, group);
}

Value MixRows::laterRow(LoopBuilder &b, Value place, Value ahead) const {
  return b.load(numbers, {b.add(place, ahead)});
}

void MixRows::fetch(LoopBuilder &b, Value row, int64_t vector, Value at, int64_t elements) const {
  prefetchVector(b, pool.table, {row, b.index(vector)}, pool.byteOf(b, at),
                 bytesOf(elements) / elementBytes(pool.table));
}

Values MixRows::dotsOf(LoopBuilder &b, Value place, unsigned count, unsigned fetched,
                       llvm::function_ref<Value(unsigned)> factors) const {
  Value row = rowAt(b, place), later = laterRow(b, place, b.index(ahead));
  auto terms = [&](const Strip &s) {
    SmallVector<std::pair<Value, Value>> pairs;
    for (unsigned f = 0; f < count; ++f)
      pairs.push_back({pool.load(b, {row, b.index(f)}, s.at, s.lanes), b.load(factors(f), {s.at}, s.lanes)});
    return pairs;
  };
  return dots(b, pool.width, width, count, terms, [&](Value at, int64_t elements) {
    for (unsigned f = 0; f < fetched; ++f)
      fetch(b, later, f, at, elements);
  });
}

void MixRows::addUp(LoopBuilder &b, Value first, Value end, Value sums,
                    llvm::function_ref<void(Value, llvm::function_ref<void(Value, unsigned)>)> step) const {
  int64_t last = b.staticDim(pool.table, 1) - 1;
  // What the next group's dots are to find in L2 comes while this one is added up.
  Value distance = dotsOfAll ? b.sub(end, first) : b.index(ahead);
  forEachBlock(b, pool.width, width, [&](ArrayRef<Strip> strips) {
    Values init = llvm::map_to_vector(strips, [&](const Strip &s) { return b.load(sums, {s.at}, s.lanes); });
    int64_t elements = 0;
    for (const Strip &strip : strips)
      elements += strip.lanes;
    Values results = sumRows(b, first, end, strips, init, [&](Value place, auto add) {
      Value row = rowAt(b, place);
      fetch(b, laterRow(b, place, distance), last, strips.front().at, elements);
      step(place, [&](Value scale, unsigned vector) {
        add(scale, [&](const Strip &s) { return pool.load(b, {row, b.index(vector)}, s.at, s.lanes); });
      });
    });
    for (auto [sum, strip] : llvm::zip(results, strips))
      b.store(sum, sums, {strip.at});
  });
}

void MixRows::fetchScales(LoopBuilder &b, Value first, Value end) const {
  if (!pool.scales)
    return;
  b.loop(first, end, [&](Value place) {
    Value later = laterRow(b, place, b.index(ahead));
    int64_t vectors = b.staticDim(pool.table, 1);
    if (!pool.isGrouped)
      return prefetchVector(b, pool.scales, {later}, b.index(0), vectors);
    for (int64_t f = 0; f < vectors; ++f)
      prefetchVector(b, pool.scales, {later, b.index(f)}, b.index(0), pool.groups);
  });
}
