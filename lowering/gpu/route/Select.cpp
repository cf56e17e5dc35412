//===- Select.cpp - from scores to experts and weights -------------------===//

#include "Select.h"

#include "lowering/emit/KeptRanks.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Where a row is shared by several groups, each looks at so many scores or more.
static constexpr int64_t kFewestScores = 32;

const char *device::rejectSelect(SelectOp op) {
  if (op.getPolicy().selectsAll())
    return nullptr;
  if (op.getPolicy().choosesTokens())
    return "experts that choose among all tokens have a block each";
  if (!op.getPolicy().selectsLargest() && !op.getPolicy().hasVaryingCounts())
    return "the policy is left to plain loops";
  return op.getNumSelected() <= kMostSelected ? nullptr : "the sorted list would not fit in registers";
}

Selection Selection::of(SelectOp op) {
  return {op.getPolicy(), op.getNumKeys(), op.getNumSelected(), op.getIdx(), op.getVal(), Value(), {}};
}

Selection Selection::of(RouteOp op) {
  return {op.getPolicy(), op.getNumKeys(), op.getNumSelected(), op.getIdx(),
          op.getVal(),    op.getWeights(), op.getGate()};
}

//===----------------------------------------------------------------------===//
// Rows of lists
//===----------------------------------------------------------------------===//

RowLists::RowLists(BlockBuilder &b, int64_t k, int64_t halves, int64_t slots, SharedPlan &shared)
    : b(b), rows(b, k, slots, shared), halves(halves) {
  int64_t length = slots * halves * lists().size();
  scores = shared.words(length);
  numbers = shared.words(length);
  queued = shared.words(slots);
}

int64_t RowLists::sharedBytes(int64_t k, int64_t halves, int64_t slots) {
  return RowSelect::queueBytes(k, slots) + 2 * SharedPlan::bytesOf(slots * halves * listSize(k)) +
         SharedPlan::bytesOf(slots);
}

Value RowLists::place(Value slot, Value half) const {
  Value list = b.add(b.mul(slot, b.index(halves)), half);
  return b.mul(list, b.index(lists().size()));
}

RowState RowLists::load(Value slot, Value half) {
  RowState row;
  b.warpBarrier();
  for (int64_t r = 0; r < lists().registers(); ++r) {
    Value at = b.add(place(slot, half), lists().number(r));
    row.best.push_back({scores.load(b, b.getF32Type(), at), numbers.load(b, b.getI32Type(), at)});
  }
  row.queued = queued.load(b, b.getI32Type(), slot);
  return row;
}

void RowLists::store(const RowState &row, Value slot, Value half) {
  b.warpBarrier();
  b.onEachThread([&] {
    for (auto [r, entry] : llvm::enumerate(row.best)) {
      Value at = b.add(place(slot, half), lists().number(r));
      scores.store(b, entry[0], at);
      numbers.store(b, entry[1], at);
    }
    b.ifThen(b.cmp(CmpIPredicate::eq, lists().member(), b.index(0)), [&] { queued.store(b, row.queued, slot); });
  });
}

void RowLists::offer(Value slot, Value half, const RowSelect::Piece &piece) {
  store(rows.offer(load(slot, half), slot, piece), slot, half);
}

SelectRows::SelectRows(BlockBuilder &b, Selection what, int64_t slots, SharedPlan &shared)
    : RowLists(b, what.k, what.halves(), slots, shared), what(what) {
  if (what.halves() == 2)
    pairs.emplace(b, what.n, what.k, shared);
}

int64_t SelectRows::sharedBytes(int64_t k, int64_t halves, int64_t slots) {
  return RowLists::sharedBytes(k, halves, slots) + (halves == 2 ? PairSelect::tableBytes(k) : 0);
}

void SelectRows::finish(Value slot, Value token, Value head, Value present) {
  Values best, experts;
  for (int64_t p = 0; p < what.halves(); ++p) {
    RowState row = load(slot, b.index(p));
    Entries filled = rows.fill(row.best, slot);
    if (pairs) {
      store({filled, row.queued}, slot, b.index(p));
      continue;
    }
    for (const Entry &entry : filled) {
      best.push_back(entry[0]);
      experts.push_back(entry[1]);
    }
  }
  if (pairs) {
    b.warpBarrier();
    auto half = [&](int64_t p, Value rank) {
      Value at = b.add(place(slot, b.index(p)), rank);
      return std::make_pair(scores.load(b, b.getF32Type(), at), numbers.load(b, b.getI32Type(), at));
    };
    for (const Entry &entry : pairs->select(half)) {
      best.push_back(entry[0]);
      experts.push_back(entry[2]);
    }
  }
  Values weights;
  if (what.gate)
    weights = emitGateWeights(b, *what.gate, lists(), what.k, best);
  b.onEachThread([&] {
    for (int64_t r = 0; r < lists().registers(); ++r) {
      Value number = lists().number(r);
      Value meant = both(b, present, b.cmp(CmpIPredicate::ult, number, b.index(what.k)));
      b.ifThen(meant, [&] {
        b.store(experts[r], what.idx, {token, head, number});
        if (what.val)
          b.store(best[r], what.val, {token, head, number});
        if (what.gate)
          b.store(weights[r], what.weights, {token, head, number});
      });
    }
  });
}

//===----------------------------------------------------------------------===//
// Logits in memory
//===----------------------------------------------------------------------===//

/// The policy 'all': every expert in order of its index.
static void emitSelectAll(SelectOp op, BlockBuilder &b) {
  Value logits = op.getLogits(), idx = op.getIdx(), val = op.getVal();
  Value heads = b.dim(logits, 1), n = b.dim(logits, 3);
  b.forThreads(b.mul(b.mul(b.dim(logits, 0), heads), n), [&](Value flat) {
    Value row = b.div(flat, n), expert = b.rem(flat, n), token = b.div(row, heads), head = b.rem(row, heads);
    b.store(b.toI32(expert), idx, {token, head, expert});
    b.store(b.load(logits, {token, head, b.index(0), expert}), val, {token, head, expert});
  });
}

/// A group per row at a time.
static void emitRows(const Selection &what, Value logits, BlockBuilder &b) {
  SharedPlan shared(b);
  int64_t slots = b.warps() * kWarpSize / std::min(listSize(what.k), kWarpSize);
  SelectRows rows(b, what, slots, shared);
  Groups groups(b, rows.lists());
  Value heads = b.dim(logits, 1), count = b.mul(b.dim(logits, 0), heads);
  Value n = b.index(what.n), zero = b.index(0), yes = arith::ConstantOp::create(b, b.getBoolAttr(true));
  b.barrier();
  // Groups of a warp begin and end together.
  b.loop(
      zero, count,
      [&](Value first) {
        Value row = b.add(first, groups.number), present = b.cmp(CmpIPredicate::ult, row, count);
        Value at = b.select(present, row, zero), token = b.div(at, heads), head = b.rem(at, heads);
        b.loop(b.index(what.halves()), [&](Value half) {
          auto score = [&](Value number) { return b.load(logits, {token, head, half, number}); };
          rows.clear(groups.number, half);
          rows.offer(groups.number, half, {zero, b.select(present, n, zero), n, yes, score});
        });
        rows.finish(groups.number, token, head, present);
      },
      groups.count);
}

/// Few rows: several groups share each half of a row, and their lists are merged.
static void emitParts(const Selection &what, Value logits, BlockBuilder &b, int64_t rowCount, int64_t parts) {
  SharedPlan shared(b);
  // The groups of a warp work together, so the last warp may have rows that are not there.
  int64_t perWarp = kWarpSize / std::min(listSize(what.k), kWarpSize), slots = llvm::alignTo(rowCount, perWarp);
  SelectRows rows(b, what, slots, shared);
  const LaneList &lists = rows.lists();
  Groups groups(b, lists);
  RowSelect best(b, what.k, groups.count, shared);
  SharedWords partScores = shared.words(groups.count * lists.size());
  SharedWords partNumbers = shared.words(groups.count * lists.size());
  auto place = [&](Value list, int64_t r) { return b.add(b.mul(list, b.index(lists.size())), lists.number(r)); };
  Value heads = b.dim(logits, 1), zero = b.index(0), halves = b.index(what.halves());
  Value lastList = b.index(rowCount * what.halves() - 1);
  {
    // Groups that are left over look at the last row again.
    Value list = b.min(b.div(groups.number, b.index(parts)), lastList);
    int64_t span = llvm::divideCeil(what.n, parts);
    Value first = b.mul(b.rem(groups.number, b.index(parts)), b.index(span));
    Value count = b.max(b.min(b.index(span), b.sub(b.index(what.n), first)), zero);
    Value row = b.div(list, halves), token = b.div(row, heads), head = b.rem(row, heads), half = b.rem(list, halves);
    auto score = [&](Value number) { return b.load(logits, {token, head, half, b.add(first, number)}); };
    Value yes = arith::ConstantOp::create(b, b.getBoolAttr(true));
    RowState part = best.offer(best.empty(), groups.number, {first, count, b.index(span), yes, score});
    b.onEachThread([&] {
      for (auto [r, entry] : llvm::enumerate(part.best)) {
        partScores.store(b, entry[0], place(groups.number, r));
        partNumbers.store(b, entry[1], place(groups.number, r));
      }
    });
  }
  b.barrier();
  b.ifThen(b.cmp(CmpIPredicate::ult, groups.number, b.index(slots * what.halves())), [&] {
    Value firstPart = b.mul(b.min(groups.number, lastList), b.index(parts));
    auto part = [&](Value i) {
      Entries loaded;
      for (int64_t r = 0; r < lists.registers(); ++r) {
        Value at = place(b.add(firstPart, i), r);
        loaded.push_back({partScores.load(b, b.getF32Type(), at), partNumbers.load(b, b.getI32Type(), at)});
      }
      return loaded;
    };
    Values merged = b.loop(b.index(1), b.index(parts), toValues(part(zero)), [&](Value i, ValueRange carried) {
      Entries list = toEntries(carried, 2);
      lists.merge(list, part(i));
      return toValues(list);
    });
    rows.store({toEntries(merged, 2), b.i32(0)}, b.div(groups.number, halves), b.rem(groups.number, halves));
  });
  b.barrier();
  b.ifThen(b.cmp(CmpIPredicate::ult, groups.number, b.index(slots)), [&] {
    Value row = b.min(groups.number, b.index(rowCount - 1));
    Value present = b.cmp(CmpIPredicate::ult, groups.number, b.index(rowCount));
    rows.finish(groups.number, b.div(row, heads), b.rem(row, heads), present);
  });
}

void device::emitSelection(const Selection &what, Value logits, BlockBuilder &b) {
  auto type = cast<MemRefType>(logits.getType());
  int64_t groups = b.warps() * (kWarpSize / std::min(listSize(what.k), kWarpSize));
  if (!type.isDynamicDim(0) && type.getDimSize(0) > 0) {
    int64_t rows = type.getDimSize(0) * type.getDimSize(1), parts = 1;
    while (rows * what.halves() * parts * 2 <= groups && what.n >= parts * 2 * kFewestScores)
      parts *= 2;
    if (parts > 1)
      return emitParts(what, logits, b, rows, parts);
  }
  emitRows(what, logits, b);
}

void device::emitSelect(SelectOp op, BlockBuilder &b) {
  if (op.getPolicy().selectsAll())
    return emitSelectAll(op, b);
  emitSelection(Selection::of(op), op.getLogits(), b);
  if (!op.getPolicy().hasVaryingCounts())
    return;
  b.barrier();
  Value heads = b.dim(op.getIdx(), 1);
  b.forWarps(b.mul(b.dim(op.getIdx(), 0), heads), [&](Value row) {
    Value token = b.div(row, heads), head = b.rem(row, heads), kept = emitKeptRanks(b, Ranking(op), token, head, 1);
    if (!kept)
      return;
    // All lanes have read the scores.
    b.warpBarrier();
    emitEmptySlots(b, Ranking(op), token, head, kept);
  });
}
