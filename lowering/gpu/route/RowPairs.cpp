//===- RowPairs.cpp - the best pairs of two sorted halves, and their weights ===//

#include "RowSelect.h"

#include "lowering/emit/ExpertMath.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The pairs of ranks (i, j) with i > 0 and (i + 1) * (j + 1) <= k, numbered row by row.
static int64_t countPairs(int64_t k) {
  int64_t count = 0;
  for (int64_t i = 1; i < k; ++i)
    count += k / (i + 1);
  return count;
}

int64_t PairSelect::tableBytes(int64_t k) { return SharedPlan::bytesOf(countPairs(k)); }

/// The pair with this number (index) as one number.
static Value emitRanks(LoopBuilder &b, Value number, int64_t k) {
  Value row = b.index(1), start = b.index(0);
  int64_t next = 0, i = 1;
  // Each row begins where the ones before it end; the last rows have one pair each.
  for (; i + 1 < k && k / (i + 1) > 1; ++i) {
    next += k / (i + 1);
    Value beyond = b.cmp(CmpIPredicate::uge, number, b.index(next));
    row = b.select(beyond, b.index(i + 1), row);
    start = b.select(beyond, b.index(next), start);
  }
  Value single = b.cmp(CmpIPredicate::uge, number, b.index(next)), over = b.sub(number, b.index(next));
  Value column = b.select(single, b.index(0), b.sub(number, start));
  return b.add(b.mul(b.select(single, b.add(b.index(i), over), row), b.index(kMostSelected)), column);
}

PairSelect::PairSelect(BlockBuilder &b, int64_t n, int64_t k, SharedPlan &shared)
    : b(b), n(n), k(k), list(b, k, [&b](const Entry &x, const Entry &y) {
        return emitPrecedes(b, {x[0], x[1], x[2]}, {y[0], y[1], y[2]});
      }) {
  table = shared.words(countPairs(k));
  b.forThreads(b.index(countPairs(k)), [&](Value number) { table.store(b, b.toI32(emitRanks(b, number, k)), number); });
}

Entry PairSelect::candidate(Half half, Value i, Value j, Value present) const {
  auto read = [&] {
    auto [first, row] = half(0, i);
    auto [second, column] = half(1, j);
    Value rank = b.toF32(b.add(b.mul(i, b.index(k)), j));
    Candidate c = emitCandidate(b, first, second, rank, b.add(b.mul(row, b.i32(n)), column));
    return Values{c.sum, c.rest, c.expert};
  };
  auto none = [&] { return Values{b.f32(-kInfinity), b.f32(-kInfinity), b.i32(std::numeric_limits<int32_t>::max())}; };
  return emitIf(b, present, read, none);
}

Entries PairSelect::select(Half half) const {
  Value zero = b.index(0);
  // The first row of sums is in order as it is.
  Entries best;
  for (int64_t r = 0; r < list.registers(); ++r) {
    Value j = list.number(r);
    best.push_back(candidate(half, zero, j, b.cmp(CmpIPredicate::ult, j, b.index(k))));
  }
  Value count = b.index(countPairs(k));
  Values result = b.loop(
      zero, count, toValues(best),
      [&](Value from, ValueRange carried) {
        Entries batch, merged = toEntries(carried, 3);
        for (int64_t r = 0; r < list.registers(); ++r) {
          Value number = b.add(list.number(r), from), present = b.cmp(CmpIPredicate::ult, number, count);
          Value ranks = b.toIndex(table.load(b, b.getI32Type(), b.select(present, number, zero)));
          Value i = b.div(ranks, b.index(kMostSelected)), j = b.rem(ranks, b.index(kMostSelected));
          batch.push_back(candidate(half, i, j, present));
        }
        list.sort(batch);
        list.merge(merged, batch);
        return toValues(merged);
      },
      list.size());
  return toEntries(result, 3);
}

Values device::emitGateWeights(BlockBuilder &b, GateKind kind, const LaneList &list, int64_t k,
                               ArrayRef<Value> scores) {
  bool softmax = kind == GateKind::Softmax;
  // The first is the greatest.
  Value highest = softmax ? list.at(Entries{Entry{scores[0]}}, 0)[0] : Value(), total;
  Values weights;
  for (auto [r, score] : llvm::enumerate(scores)) {
    Value behind = b.cmp(CmpIPredicate::uge, list.number(r), b.index(k));
    weights.push_back(emitGateTerm(b, kind, score, highest, either(b, emitIsNone(b, score), behind)));
    total = total ? b.add(total, weights[r]) : weights[r];
  }
  if (!softmax)
    return weights;
  Value factor = emitSoftmaxFactor(b, list.sum(total));
  for (Value &weight : weights)
    weight = b.mul(weight, factor);
  return weights;
}
