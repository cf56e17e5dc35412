//===- MixRows.cpp - the pool rows of a token, in chunks -----------------===//

#include "MixRows.h"

#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpIPredicate;

/// Rows per chunk at most: about ten arrays of this many words are on the stack.
static constexpr int64_t kMostRows = 4096;

MixRows::MixRows(LoopBuilder &b, Value idx, const StoredTable &pool, int64_t rowsPerExpert, int64_t width)
    : pool(pool), pairs(b.staticDim(idx, 1) * b.staticDim(idx, 2)), rowsPerExpert(rowsPerExpert), width(width) {
  Value rows = pool.table;
  int64_t fitting =
      tuned(b, tuning::kMixChunk) * 1024 / (b.staticDim(rows, 1) * b.staticDim(rows, 2) * elementBytes(rows));
  chunk = std::min(std::clamp<int64_t>(fitting / 16 * 16, 16, kMostRows), total());
  padded = llvm::alignTo(chunk, width);
}

void MixRows::forEachChunk(LoopBuilder &b, llvm::function_ref<void(Value, Value)> body) const {
  if (isOneChunk())
    return body(b.index(0), b.index(total()));
  b.loop(
      b.index(0), b.index(total()),
      [&](Value first) {
        Value left = b.sub(b.index(total()), first);
        body(first, b.min(left, b.index(chunk)));
      },
      chunk);
}

Value MixRows::pairOf(LoopBuilder &b, Value number) const {
  return rowsPerExpert == 1 ? number : b.div(number, b.index(rowsPerExpert));
}

MixRows::Row MixRows::rowOf(LoopBuilder &b, Value idxOfToken, Value number) const {
  Row result;
  result.pair = pairOf(b, number);
  Value expert = b.load(idxOfToken, {result.pair});
  result.valid = b.cmp(CmpIPredicate::sge, expert, b.i32(0));
  result.row = b.toIndex(expert);
  if (rowsPerExpert > 1)
    result.row = b.add(b.mul(result.row, b.index(rowsPerExpert)), b.rem(number, b.index(rowsPerExpert)));
  return result;
}

Value MixRows::laterThan(LoopBuilder &b, Value i, Value count) const {
  return b.min(b.add(i, b.index(tuned(b, tuning::kMixRowsAhead))), b.sub(count, b.index(1)));
}

Values MixRows::dotsOf(LoopBuilder &b, Value row, Value later, unsigned count, unsigned firstVector,
                       llvm::function_ref<Value(unsigned)> factors) const {
  auto terms = [&](const Strip &s) {
    SmallVector<std::pair<Value, Value>> pairs;
    for (unsigned f = firstVector; f < firstVector + count; ++f)
      pairs.push_back({pool.load(b, {row, b.index(f)}, s.at, s.lanes), b.load(factors(f), {s.at}, s.lanes)});
    return pairs;
  };
  return dots(b, pool.width, width, count, terms, [&](Value at, int64_t elements) {
    prefetchRow(b, pool.table, later, pool.byteOf(b, at), pool.packed ? elements / 2 : elements);
  });
}
