//===- RowSelect.cpp - the best of rows of scores, by groups of lanes ----===//

#include "RowSelect.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Scores that a lane looks at before the warp asks whether any goes on.
static constexpr int64_t kScoresPerLane = 4;

static LaneList scoreLists(BlockBuilder &b, int64_t k) {
  return LaneList(b, k, [&b](const Entry &x, const Entry &y) {
    Value tied = both(b, b.cmp(CmpFPredicate::OEQ, x[0], y[0]), b.cmp(CmpIPredicate::slt, x[1], y[1]));
    return either(b, b.cmp(CmpFPredicate::OGT, x[0], y[0]), tied);
  });
}

/// Entries of a group's queue: a full batch, and what one step may add to it.
static int64_t queueLength(const LaneList &list) { return list.size() + list.lanes(); }

RowSelect::RowSelect(BlockBuilder &b, int64_t k, SharedPlan &shared) : b(b), k(k), list(scoreLists(b, k)) {
  int64_t length = b.warps() * list.groups() * queueLength(list);
  queueScores = shared.buffer({length}, b.getF32Type());
  queueNumbers = shared.buffer({length}, b.getI32Type());
  Value number = b.add(b.mul(b.warp(), b.index(list.groups())), list.group());
  queueStart = b.mul(number, b.index(queueLength(list)));
}

int64_t RowSelect::queueBytes(int64_t k, int64_t warps) {
  int64_t size = listSize(k), lanes = std::min(size, kWarpSize);
  return warps * (kWarpSize / lanes) * (size + lanes) * 8;
}

Entries RowSelect::empty() const {
  return list.filled({b.f32(-kInfinity), b.i32(std::numeric_limits<int32_t>::max())});
}

Values RowSelect::pack(const State &state) const {
  Values values{state.count, state.least};
  llvm::append_range(values, toValues(state.best));
  return values;
}

RowSelect::State RowSelect::unpack(ValueRange values) const {
  return {toEntries(values.drop_front(2), 2), values[0], values[1]};
}

/// Merges the first size() entries of the queue, or all if there are less; the others move to its start.
RowSelect::State RowSelect::flush(const State &state) const {
  State next;
  b.onEachThread([&] {
    auto place = [&](Value number) { return b.add(queueStart, number); };
    auto queued = [&](Value at, Value present) -> Entry {
      return emitIf(
          b, present, [&] { return Values{b.load(queueScores, {place(at)}), b.load(queueNumbers, {place(at)})}; },
          [&] { return Values(empty()[0]); });
    };
    Value count = b.toIndex(state.count), size = b.index(list.size());
    b.warpBarrier();
    Entries batch;
    for (int64_t r = 0; r < list.registers(); ++r)
      batch.push_back(queued(list.number(r), b.cmp(CmpIPredicate::ult, list.number(r), count)));
    Value behind = b.add(size, list.member());
    Value present = b.cmp(CmpIPredicate::ult, behind, count);
    Entry rest = queued(behind, present);
    b.warpBarrier();
    b.ifThen(present, [&] {
      b.store(rest[0], queueScores, {place(list.member())});
      b.store(rest[1], queueNumbers, {place(list.member())});
    });
    list.sort(batch);
    next.best = state.best;
    list.merge(next.best, batch);
    next.count = b.max(b.sub(state.count, b.i32(list.size())), b.i32(0));
    next.least = leastOf(next.best);
  });
  return next;
}

RowSelect::State RowSelect::push(const State &state, Value score, Value number) const {
  // Not a number exceeds nothing.
  Value keep = b.cmp(CmpFPredicate::OGT, score, state.least);
  Value bits = list.bits(keep);
  Value place = b.add(queueStart, b.toIndex(b.add(state.count, list.rank(bits))));
  b.onEachThread([&] {
    b.ifThen(keep, [&] {
      b.store(score, queueScores, {place});
      b.store(b.toI32(number), queueNumbers, {place});
    });
  });
  State pushed = state;
  pushed.count = b.add(state.count, list.population(bits));
  Value full = emitAny(b, b.cmp(CmpIPredicate::sge, pushed.count, b.i32(list.size())));
  return unpack(emitIf(b, full, [&] { return pack(flush(pushed)); }, [&] { return pack(pushed); }));
}

Entries RowSelect::offer(const Entries &best, Value first, Value count, Value most,
                         llvm::function_ref<Value(Value)> score) const {
  int64_t step = kScoresPerLane * list.lanes();
  Values start = pack({best, b.i32(0), leastOf(best)});
  Values end = b.loop(
      b.index(0), most, start,
      [&](Value at, ValueRange carried) {
        State state = unpack(carried);
        Values scores, numbers;
        Value any;
        for (int64_t u = 0; u < kScoresPerLane; ++u) {
          Value number = b.add(at, list.number(u));
          Value x = emitIf(
              b, b.cmp(CmpIPredicate::ult, number, count), [&] { return Values{score(number)}; },
              [&] { return Values{b.f32(-kInfinity)}; })[0];
          Value keep = b.cmp(CmpFPredicate::OGT, x, state.least);
          any = any ? either(b, any, keep) : keep;
          scores.push_back(x);
          numbers.push_back(b.add(first, number));
        }
        return emitIf(
            b, emitAny(b, any),
            [&] {
              State pushed = state;
              for (auto [x, number] : llvm::zip(scores, numbers))
                pushed = push(pushed, x, number);
              return pack(pushed);
            },
            [&] { return pack(state); });
      },
      step);
  State last = unpack(end);
  Value left = emitAny(b, b.cmp(CmpIPredicate::ne, last.count, b.i32(0)));
  return unpack(emitIf(b, left, [&] { return pack(flush(last)); }, [&] { return pack(last); })).best;
}

Entries RowSelect::fill(const Entries &best) const {
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
        Value number = b.toI32(list.number(r)), free;
        for (int64_t i = 0; i < k; ++i) {
          Value other = b.cmp(CmpIPredicate::ne, number, list.at(best, i)[1]);
          free = free ? both(b, free, other) : other;
        }
        Value bits = list.bits(free), at = b.add(place, list.rank(bits));
        b.ifThen(both(b, free, b.cmp(CmpIPredicate::slt, at, b.i32(k))),
                 [&] { b.store(number, queueNumbers, {b.add(queueStart, b.toIndex(at))}); });
        place = b.add(place, list.population(bits));
      }
      b.warpBarrier();
      for (int64_t r = 0; r < list.registers(); ++r) {
        Value number = b.toI32(list.number(r));
        Value taken = both(b, b.cmp(CmpIPredicate::sge, number, count), b.cmp(CmpIPredicate::slt, number, b.i32(k)));
        filled[r][1] = emitIf(
            b, taken, [&] { return Values{b.load(queueNumbers, {b.add(queueStart, list.number(r))})}; },
            [&] { return Values{best[r][1]}; })[0];
      }
      b.warpBarrier();
    });
    return toValues(filled);
  };
  return toEntries(emitIf(b, missing, refill, [&] { return toValues(best); }), 2);
}
