//===- RowSelect.cpp - the best of rows of scores, by groups of lanes ----===//

#include "RowSelect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Scores that a lane looks at before the warp asks whether any goes on.
static constexpr int64_t kScoresPerLane = 2;

static LaneList scoreLists(BlockBuilder &b, int64_t k) {
  return LaneList(b, k, [&b](const Entry &x, const Entry &y) {
    Value tied = both(b, b.cmp(CmpFPredicate::OEQ, x[0], y[0]), b.cmp(CmpIPredicate::slt, x[1], y[1]));
    return either(b, b.cmp(CmpFPredicate::OGT, x[0], y[0]), tied);
  });
}

/// Entries of a group's queue: less than a batch, and what one step may add to it.
static int64_t queueLength(int64_t size) { return size + kScoresPerLane * std::min(size, kWarpSize); }

RowSelect::RowSelect(BlockBuilder &b, int64_t k, int64_t slots, SharedPlan &shared)
    : b(b), k(k), list(scoreLists(b, k)) {
  queueScores = shared.words(slots * queueLength(list.size()));
  queueNumbers = shared.words(slots * queueLength(list.size()));
}

int64_t RowSelect::queueBytes(int64_t k, int64_t slots) {
  return 2 * SharedPlan::bytesOf(slots * queueLength(listSize(k)));
}

static Entry nothing(LoopBuilder &b) { return {b.f32(-kInfinity), b.i32(std::numeric_limits<int32_t>::max())}; }

RowState RowSelect::empty() const { return {list.filled(nothing(b)), b.i32(0)}; }

Value RowSelect::startOf(Value slot) const { return b.mul(slot, b.index(queueLength(list.size()))); }

Values RowSelect::pack(const State &state) const {
  Values values{state.queued, state.least};
  llvm::append_range(values, toValues(state.best));
  return values;
}

RowSelect::State RowSelect::unpack(ValueRange values, Value start) const {
  return {toEntries(values.drop_front(2), 2), values[0], values[1], start};
}

/// Merges the last size() entries of the queue, or all if there are less.
RowSelect::State RowSelect::flush(const State &state) const {
  State next = state;
  next.queued = b.max(b.sub(state.queued, b.i32(list.size())), b.i32(0));
  Value from = b.toIndex(next.queued), count = b.toIndex(state.queued);
  b.warpBarrier();
  Entries batch;
  for (int64_t r = 0; r < list.registers(); ++r) {
    Value at = b.add(from, list.number(r)), place = b.add(state.start, at);
    batch.push_back(emitIf(
        b, b.cmp(CmpIPredicate::ult, at, count),
        [&] { return Values{queueScores.load(b, b.getF32Type(), place), queueNumbers.load(b, b.getI32Type(), place)}; },
        [&] { return Values(nothing(b)); }));
  }
  // The places may be written again.
  b.warpBarrier();
  list.sort(batch);
  list.merge(next.best, batch);
  next.least = leastOf(next.best);
  return next;
}

/// Puts what exceeds the least of the list into the queue.
RowSelect::State RowSelect::push(const State &state, Value score, Value number) const {
  // Not a number exceeds nothing.
  Value keep = b.cmp(CmpFPredicate::OGT, score, state.least), bits = list.bits(keep);
  Value place = b.add(state.start, b.toIndex(b.add(state.queued, list.rank(bits))));
  b.onEachThread([&] {
    b.ifThen(keep, [&] {
      queueScores.store(b, score, place);
      queueNumbers.store(b, b.toI32(number), place);
    });
  });
  State pushed = state;
  pushed.queued = b.add(state.queued, list.population(bits));
  return pushed;
}

/// Flushes while any group of the warp has `limit` (i32) entries or more.
RowSelect::State RowSelect::flushDownTo(const State &state, Value limit) const {
  Values start = pack(state);
  auto before = [&](OpBuilder &inner, Location, ValueRange carried) {
    OpBuilder::InsertionGuard guard(b);
    b.restoreInsertionPoint(inner.saveInsertionPoint());
    Value any = emitAny(b, b.cmp(CmpIPredicate::sge, carried[0], limit));
    scf::ConditionOp::create(b, any, carried);
  };
  auto after = [&](OpBuilder &inner, Location, ValueRange carried) {
    OpBuilder::InsertionGuard guard(b);
    b.restoreInsertionPoint(inner.saveInsertionPoint());
    scf::YieldOp::create(b, pack(flush(unpack(carried, state.start))));
  };
  return unpack(scf::WhileOp::create(b, TypeRange(ValueRange(start)), start, before, after).getResults(), state.start);
}

RowState RowSelect::offer(const RowState &row, Value slot, const Piece &piece) const {
  int64_t step = kScoresPerLane * list.lanes();
  Value start = startOf(slot);
  Values end = b.loop(
      b.index(0), piece.most, pack({row.best, row.queued, leastOf(row.best), start}),
      [&](Value at, ValueRange carried) {
        State state = unpack(carried, start);
        Values scores, numbers;
        Value any;
        for (int64_t u = 0; u < kScoresPerLane; ++u) {
          Value number = b.add(at, list.number(u));
          Value x = emitIf(
              b, b.cmp(CmpIPredicate::ult, number, piece.count), [&] { return Values{piece.score(number)}; },
              [&] { return Values{b.f32(-kInfinity)}; })[0];
          Value keep = b.cmp(CmpFPredicate::OGT, x, state.least);
          any = any ? either(b, any, keep) : keep;
          scores.push_back(x);
          numbers.push_back(b.add(piece.first, number));
        }
        Value isLast = both(b, piece.isLast, b.cmp(CmpIPredicate::uge, b.add(at, b.index(step)), piece.most));
        Value limit = b.select(isLast, b.i32(1), b.i32(list.size()));
        auto queue = [&] {
          State pushed = state;
          for (auto [x, number] : llvm::zip(scores, numbers))
            pushed = push(pushed, x, number);
          return pack(flushDownTo(pushed, limit));
        };
        return emitIf(b, either(b, emitAny(b, any), isLast), queue, [&] { return pack(state); });
      },
      step);
  State last = unpack(end, start);
  return {last.best, last.queued};
}

Entries RowSelect::fill(const Entries &best, Value slot) const {
  Value start = startOf(slot);
  Value lowest = b.f32(-kInfinity), last = list.at(best, k - 1)[0];
  Value missing = emitAny(b, b.cmp(CmpFPredicate::OEQ, last, lowest));
  auto refill = [&] {
    // Fewer than k scores are listed, so enough of the numbers below k are not. Nothing else has the greatest number.
    Value count = b.i32(0);
    for (const Entry &entry : best)
      count = b.add(count, list.population(list.bits(b.cmp(CmpFPredicate::OGT, entry[0], lowest))));
    Entries filled = best;
    b.onEachThread([&] {
      Value place = count;
      b.warpBarrier();
      for (int64_t r = 0; r < list.registers(); ++r) {
        Value number = b.toI32(list.number(r)), free = arith::ConstantOp::create(b, b.getBoolAttr(true));
        for (auto [s, entry] : llvm::enumerate(best))
          free = b.loop(b.index(0), b.index(std::min<int64_t>(k - s * list.lanes(), list.lanes())), free,
                        [&](Value lane, ValueRange carried) {
                          Value other = list.from(entry[1], lane);
                          return Values{both(b, carried[0], b.cmp(CmpIPredicate::ne, number, other))};
                        })[0];
        Value bits = list.bits(free), at = b.add(place, list.rank(bits));
        b.ifThen(both(b, free, b.cmp(CmpIPredicate::slt, at, b.i32(k))),
                 [&] { queueNumbers.store(b, number, b.add(start, b.toIndex(at))); });
        place = b.add(place, list.population(bits));
      }
      b.warpBarrier();
      for (int64_t r = 0; r < list.registers(); ++r) {
        Value number = b.toI32(list.number(r));
        Value taken = both(b, b.cmp(CmpIPredicate::sge, number, count), b.cmp(CmpIPredicate::slt, number, b.i32(k)));
        filled[r][1] = emitIf(
            b, taken, [&] { return Values{queueNumbers.load(b, b.getI32Type(), b.add(start, list.number(r)))}; },
            [&] { return Values{best[r][1]}; })[0];
      }
      b.warpBarrier();
    });
    return toValues(filled);
  };
  return toEntries(emitIf(b, missing, refill, [&] { return toValues(best); }), 2);
}
