//===- RowTopK.cpp - the k best of a row of scores -----------------------===//
//
// The list of the best k lives in one vector, sorted. A row is read twice: the k-th largest of the maxima of at least
// k groups is a lower bound of the k-th score, and the second pass looks only at scores that reach it. Scores that
// pass are inserted in the order of their indices, which settles ties. Where only bounds are stored, those that pass are
// listed first: their scores, a few at a time, wait for each other no more than products of matrices do, and their ranks
// among each other not at all.
//
//===----------------------------------------------------------------------===//

#include "RowTopK.h"

#include "lowering/emit/Calls.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

Value cpu::emitMax(LoopBuilder &b, Value x, Value m) { return b.select(b.cmp(CmpFPredicate::OGT, x, m), x, m); }

static int64_t groupsOf(int64_t k) { return std::max<int64_t>(llvm::PowerOf2Ceil(k), 4); }

int64_t cpu::maximaVectors(int64_t k, int64_t width) { return std::max<int64_t>(1, groupsOf(k) / width); }

/// At least k of the maxima reach it.
static Value emitBoundOfMaxima(LoopBuilder &b, ArrayRef<Value> maxima, int64_t k) {
  Value lowest = maxima[0];
  for (Value m : maxima.drop_front())
    lowest = b.select(b.cmp(CmpFPredicate::OLT, m, lowest), m, lowest);
  // More groups than k: joining them raises the bound.
  for (int64_t left = cast<VectorType>(lowest.getType()).getDimSize(0); left > groupsOf(k); left /= 2)
    lowest = emitMax(b, emitLanes(b, lowest, 0, left / 2), emitLanes(b, lowest, left / 2, left / 2));
  return vector::ReductionOp::create(b, vector::CombiningKind::MINNUMF, lowest,
                                     arith::FastMathFlags::nnan | arith::FastMathFlags::nsz);
}

Value RowTopK::emitBound() {
  Type wide = b.floats(width);
  int64_t vectors = n / width, needed = maximaVectors(k, width), chains = std::max<int64_t>(needed, 4);
  if (vectors < chains)
    chains = needed;
  if (vectors < 2 * chains)
    return b.f32(-std::numeric_limits<double>::infinity());
  Values maxima(chains, b.f32(-std::numeric_limits<double>::infinity(), wide));
  maxima = b.loop(
      b.index(0), b.index(vectors / chains * chains * width), maxima,
      [&](Value at, ValueRange carried) {
        Values next;
        for (int64_t c = 0; c < chains; ++c)
          next.push_back(emitMax(b, b.load(row, {b.add(at, b.index(c * width))}, width), carried[c]));
        return next;
      },
      chains * width);
  for (; int64_t(maxima.size()) > needed; maxima.pop_back())
    maxima[maxima.size() - 1 - needed] = emitMax(b, maxima.back(), maxima[maxima.size() - 1 - needed]);
  return emitBoundOfMaxima(b, maxima, k);
}

Values RowTopK::emitBlock(Value at, int64_t vectors, Value bound, ValueRange list) {
  Type wide = b.floats(width);
  Value least = emitLane(b, list[0], k - 1), bits;
  Value lowest = b.splat(bound, wide), reached = b.splat(least, wide);
  for (int64_t v = 0; v < vectors; ++v) {
    Value x = b.load(row, {b.add(at, b.index(v * width))}, width);
    Value part = emitBits(b, both(b, b.cmp(CmpFPredicate::OGE, x, lowest), b.cmp(CmpFPredicate::OGT, x, reached)));
    bits = v == 0 ? part : either(b, bits, emitShiftLeft(b, part, v * width));
  }
  return forEachBit(b, bits, list, [&](Value position, ValueRange carried) {
    Value j = b.add(at, position);
    return insertScore(b, carried, b.load(row, {j}), b.toI32(j));
  });
}

Values RowTopK::emitTail(int64_t from, Value bound, ValueRange list) {
  return b.loop(b.index(from), b.index(n), list, [&](Value j, ValueRange carried) {
    // A score below the bound is none of the k best, but inserting it does no harm; a NaN would.
    return insertScore(b, carried, emitScore(b, b.load(row, {j})), b.toI32(j));
  });
}

Values RowTopK::emitFill(ValueRange list) {
  Value lowest = b.f32(-std::numeric_limits<double>::infinity()), iota = emitIota(b, lanes);
  Value filled = b.cmp(CmpFPredicate::OGT, list[0], b.f32(-std::numeric_limits<double>::infinity(), list[0].getType()));
  Value count = arith::TruncIOp::create(b, b.getI32Type(), emitPopulation(b, emitBits(b, filled)));
  Value missing = b.cmp(CmpIPredicate::slt, count, b.i32(k));
  Value end = b.select(missing, b.index(n), b.index(0));
  Values results = b.loop(b.index(0), end, {list[1], count}, [&](Value j, ValueRange carried) {
    Value low = b.cmp(CmpFPredicate::ULE, b.load(row, {j}), lowest);
    Value here = b.cmp(CmpIPredicate::eq, iota, b.splat(carried[1], iota.getType()));
    Value indices =
        b.select(both(b, here, b.splat(low, here.getType())), b.splat(b.toI32(j), iota.getType()), carried[0]);
    return Values{indices, b.add(carried[1], b.select(low, b.i32(1), b.i32(0)))};
  });
  return {list[0], results[0]};
}

Values RowTopK::emitList(Value bound) {
  Values list{b.f32(-std::numeric_limits<double>::infinity(), b.floats(lanes)),
              b.splat(b.i32(0), emitIota(b, lanes).getType())};
  // One mask word covers 64 scores.
  int64_t perBlock = 64 / width, blocked = n / 64 * 64, at = blocked;
  if (blocked > 0)
    list = b.loop(
        b.index(0), b.index(blocked), list,
        [&](Value from, ValueRange carried) { return emitBlock(from, perBlock, bound, carried); }, 64);
  if (int64_t vectors = (n - at) / width) {
    list = emitBlock(b.index(at), vectors, bound, list);
    at += vectors * width;
  }
  if (at < n)
    list = emitTail(at, bound, list);
  return list;
}

Values RowTopK::emit() { return emitFill(emitList(emitBound())); }

Value RowTopK::emitSurvivors(Value lowest, Value survivors) {
  Value reached = b.splat(lowest, b.floats(width));
  auto conditions = [&](Value at) { return b.cmp(CmpFPredicate::OGE, b.load(row, {at}, width), reached); };
  int64_t vectors = n / width;
  if (width < 16) {
    // One mask word covers 64 bounds. As many of them as nearly every word has are listed whether they are there or not: what is not is
    // overwritten by the next ones, and how many a word has is what a CPU cannot foresee.
    const int64_t certain = std::min<int64_t>(6, width);
    auto listBlock = [&](Value from, int64_t vectors, ValueRange carried) {
      Value bits, count = carried[0];
      for (int64_t v = 0; v < vectors; ++v) {
        Value part = emitBits(b, conditions(b.add(from, b.index(v * width))));
        bits = v == 0 ? part : either(b, bits, emitShiftLeft(b, part, v * width));
      }
      Value next = b.add(count, b.toIndex(emitPopulation(b, bits)));
      auto list = [&](Value position, Value at) { b.store(b.toI32(b.add(from, position)), survivors, {at}); };
      for (int64_t i = 0; i < certain; ++i) {
        list(b.toIndex(math::CountTrailingZerosOp::create(b, bits)), b.add(count, b.index(i)));
        bits = both(b, bits, b.sub(bits, b.i64(1)));
      }
      forEachBit(b, bits, {b.add(count, b.index(certain))}, [&](Value position, ValueRange now) {
        list(position, now[0]);
        return Values{b.add(now[0], b.index(1))};
      });
      return Values{next};
    };
    int64_t perBlock = 64 / width, blocked = vectors / perBlock * 64;
    Values count = b.loop(
        b.index(0), b.index(blocked), {b.index(0)},
        [&](Value from, ValueRange carried) { return listBlock(from, perBlock, carried); }, 64);
    if (blocked < n)
      count = listBlock(b.index(blocked), vectors % perBlock, count);
    return count[0];
  }
  int64_t together = vectors % 4 == 0 ? 4 : vectors % 2 == 0 ? 2 : 1;
  auto type = VectorType::get({width}, b.getI32Type());
  Value iota = emitIota(b, width), zeros = b.splat(b.i32(0), type);
  return b.loop(
      b.index(0), b.index(n), {b.index(0)},
      [&](Value at, ValueRange carried) {
        Value count = carried[0];
        for (int64_t v = 0; v < together; ++v) {
          Value from = b.add(at, b.index(v * width)), passed = conditions(from);
          Value indices = b.add(iota, b.splat(b.toI32(from), type));
          // Into a register: stores of some lanes are slow on some CPUs.
          Value listed = LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr("llvm.x86.avx512.mask.compress"),
                                                       ValueRange{indices, zeros, passed})
                             .getResult(0);
          b.store(listed, survivors, {count});
          count = b.add(count, b.toIndex(emitPopulation(b, emitBits(b, passed))));
        }
        return Values{count};
      },
      together * width)[0];
}

/// From the last on: where equal scores share rank k - 1, the first of them stays.
Values RowTopK::emitInOrder(const CoarseRow &bounds, Value count) {
  Value none = b.f32(-std::numeric_limits<double>::infinity()), iota = emitIota(b, lanes), front = b.index(0);
  Values list{b.splat(none, b.floats(lanes)), b.splat(b.i32(0), iota.getType())};
  if (width < 16) {
    // Each to its place in memory: many lanes are many vectors.
    b.store(list[0], bounds.bestScores, {front});
    b.store(list[1], bounds.bestIndices, {front});
    b.loop(count, [&](Value before) {
      Value j = b.sub(b.sub(count, b.index(1)), before), rank = b.toIndex(b.load(bounds.ranks, {j}));
      b.store(b.load(bounds.values, {j}), bounds.bestScores, {rank});
      b.store(b.load(bounds.survivors, {j}), bounds.bestIndices, {rank});
    });
    return {b.load(bounds.bestScores, {front}, lanes), b.load(bounds.bestIndices, {front}, lanes)};
  }
  constexpr int64_t kTogether = 8;
  Value blocks = b.ceilDiv(count, b.index(kTogether));
  return b.loop(b.index(0), blocks, list, [&](Value block, ValueRange carried) {
    Values now(carried);
    Value end = b.mul(b.sub(blocks, block), b.index(kTogether));
    for (int64_t i = 1; i <= kTogether; ++i) {
      Value j = b.sub(end, b.index(i));
      Value here = b.cmp(CmpIPredicate::eq, b.splat(b.load(bounds.ranks, {j}), iota.getType()), iota);
      now[0] = b.select(here, b.splat(b.load(bounds.values, {j}), now[0].getType()), now[0]);
      now[1] = b.select(here, b.splat(b.load(bounds.survivors, {j}), iota.getType()), now[1]);
    }
    return now;
  });
}

/// A rank is how many scores are larger. So nobody waits for the one before, as insertions do.
Values RowTopK::emitRanked(const CoarseRow &bounds, Value count) {
  // Scores that are compared with one after the other, and vectors of those that are.
  const int64_t others = std::min<int64_t>(8, width), own = 2;
  const int64_t most = mostRanked(k, width), group = scoredTogether();
  Type wide = b.floats(width);
  Value none = b.f32(-std::numeric_limits<double>::infinity());
  Value few = b.select(b.cmp(CmpIPredicate::ule, count, b.index(most)), count, b.index(0));
  b.loop(
      b.index(0), few,
      [&](Value at) {
        Values places, js;
        for (int64_t i = 0; i < group; ++i) {
          places.push_back(b.add(at, b.index(i)));
          js.push_back(b.toIndex(b.load(bounds.survivors, {places[i]})));
        }
        for (auto [place, score] : llvm::zip(places, bounds.scores(js)))
          b.store(score, bounds.values, {place});
      },
      group);
  b.store(b.splat(none, wide), bounds.values, {few});
  auto integers = [&](int64_t value) { return b.splat(b.i32(value), VectorType::get({width}, b.getI32Type())); };
  b.loop(
      b.index(0), few,
      [&](Value from) {
        Values scores, ranks(own, integers(0));
        for (int64_t v = 0; v < own; ++v)
          scores.push_back(b.load(bounds.values, {b.add(from, b.index(v * width))}, width));
        ranks = b.loop(
            b.index(0), few, ranks,
            [&](Value at, ValueRange carried) {
              Values now(carried);
              for (int64_t i = 0; i < others; ++i) {
                Value other = b.splat(b.load(bounds.values, {b.add(at, b.index(i))}), wide);
                for (auto [rank, score] : llvm::zip(now, scores))
                  rank = b.add(rank, b.select(b.cmp(CmpFPredicate::OGT, other, score), integers(1), integers(0)));
              }
              return now;
            },
            others);
        for (auto [v, rank] : llvm::enumerate(ranks))
          b.store(rank, bounds.ranks, {b.add(from, b.index(v * width))});
      },
      own * width);
  Values list = emitInOrder(bounds, few);
  // Of equal scores the ranks that follow theirs are nobody's.
  Value filled = b.cmp(CmpFPredicate::OGT, list[0], b.splat(none, list[0].getType()));
  Value wanted = b.min(count, b.index(k));
  Value all = arith::ShRUIOp::create(b, b.i64(-1), toI64(b, b.sub(b.index(64), wanted)));
  Value complete = b.cmp(CmpIPredicate::eq, both(b, emitBits(b, filled), all), all);
  return {list[0], list[1], complete};
}

Values RowTopK::emit(const CoarseRow &bounds) {
  assert(n % width == 0 && "bounds of whole vectors");
  const int64_t group = scoredTogether();
  Value count = emitSurvivors(bounds.lowest, bounds.survivors), survivors = bounds.survivors;
  // The first survivor fills the last group, with a score that nobody selects.
  Value none = b.f32(-std::numeric_limits<double>::infinity());
  for (int64_t i = 1; i < group; ++i)
    b.store(b.load(survivors, {b.index(0)}), survivors, {b.add(count, b.index(i - 1))});
  Values list{b.splat(none, b.floats(lanes)), b.splat(b.i32(0), emitIota(b, lanes).getType())};
  Values ranked = emitRanked(bounds, count);
  Value end = b.select(ranked[2], b.index(0), count);
  for (int64_t i = 0; i < 2; ++i)
    list[i] = b.select(ranked[2], ranked[i], list[i]);
  return b.loop(
      b.index(0), end, list,
      [&](Value at, ValueRange carried) {
        Values now(carried), js, places;
        for (int64_t i = 0; i < group; ++i) {
          places.push_back(b.add(at, b.index(i)));
          js.push_back(b.toIndex(b.load(survivors, {places[i]})));
        }
        for (auto [place, j, score] : llvm::zip(places, js, bounds.scores(js))) {
          Value counts = b.cmp(CmpIPredicate::ult, place, count);
          now = insertScore(b, now, b.select(counts, score, none), b.toI32(j));
        }
        return now;
      },
      group);
}

/// Combines the sorted halves of n keys each into the k best sums: sums, what their rounding took away, experts. One half may lack what
/// is in none of those. Pairs of ranks that may be among them are hooks: the row and the column of (h, h) from there on, each in order.
/// The first two are lists of their own; of the others each is one vector, the row from its front and the column from its back, which is
/// sorted like what is left of two lists.
static Values emitCombine(LoopBuilder &b, ValueRange first, ValueRange second, int64_t n, int64_t k) {
  using Ranks = SmallVector<std::pair<int64_t, int64_t>>; // by lane; -1 for none
  int64_t lanes = cast<VectorType>(first[0].getType()).getDimSize(0);
  Value bases = b.mul(first[1], b.splat(b.i32(n), first[1].getType()));
  auto candidates = [&](const Ranks &ranks) {
    SmallVector<int64_t> rows, columns;
    SmallVector<float> order;
    SmallVector<bool> present;
    for (auto [i, j] : ranks) {
      present.push_back(i >= 0);
      rows.push_back(std::max<int64_t>(i, 0));
      columns.push_back(std::max<int64_t>(j, 0));
      order.push_back(float(i * k + j));
    }
    auto permute = [&](Value list, ArrayRef<int64_t> at) -> Value {
      return vector::ShuffleOp::create(b, list, list, at);
    };
    auto wide = cast<VectorType>(first[0].getType());
    Value rank = arith::ConstantOp::create(b, DenseElementsAttr::get(wide, ArrayRef(order)));
    Candidate found = emitCandidate(b, permute(first[0], rows), permute(second[0], columns), rank,
                                    b.add(permute(bases, rows), permute(second[1], columns)));
    if (llvm::all_of(present, [](bool is) { return is; }))
      return found;
    // What is no pair comes after all that are, whose rests are finite.
    Value is = emitConditions(b, present), none = b.f32(-std::numeric_limits<double>::infinity(), wide);
    return Candidate{b.select(is, found.sum, none), b.select(is, found.rest, none), found.expert};
  };
  Ranks row(lanes, {-1, -1}), column = row;
  for (int64_t rank = 0; rank < k; ++rank)
    row[rank] = {0, rank};
  for (int64_t rank = 1; rank < k; ++rank)
    column[lanes - rank] = {rank, 0};
  Candidate best = candidates(row);
  if (k > 1)
    best = mergeCandidates(b, best, candidates(column));
  for (int64_t h = 1; (h + 1) * (h + 1) <= k; ++h) {
    int64_t across = k / (h + 1) - h;
    if (across == 1) {
      Value expert = b.add(emitLane(b, bases, h), emitLane(b, second[1], h));
      Candidate corner =
          emitCandidate(b, emitLane(b, first[0], h), emitLane(b, second[0], h), b.f32(h * k + h), expert);
      Values list = insertCandidate(b, {best.sum, best.rest, best.expert}, corner);
      best = {list[0], list[1], list[2]};
      continue;
    }
    Ranks hook(lanes, {-1, -1});
    for (int64_t at = 0; at < across; ++at)
      hook[at] = {h, h + at};
    for (int64_t at = 1; at < across; ++at)
      hook[lanes - at] = {h + at, h};
    best = mergeCandidates(b, best, sortBitonic(b, candidates(hook), /*descending=*/false));
  }
  return {best.sum, best.rest, best.expert};
}

void cpu::emitSelected(LoopBuilder &b, llvm::function_ref<Values(int64_t p)> half, int64_t halves, int64_t n, int64_t k,
                       Value idx, Value val, ArrayRef<Value> at) {
  Values best = half(0);
  if (halves == 2) {
    Values sums = emitCombine(b, best, half(1), n, k);
    best = {sums[0], sums[2]};
  }
  b.store(emitLanes(b, best[0], 0, k), val, {at[0], at[1], b.index(0)});
  b.store(emitLanes(b, best[1], 0, k), idx, {at[0], at[1], b.index(0)});
}
