//===- Select.cpp - plain loops of select --------------------------------===//
//
// k rounds, each of which looks for the best candidate after the one before it in the order of selections: by
// score, then by lowest index. O(n * k), no sorting.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include "lowering/emit/ExpertChoice.h"
#include "lowering/emit/KeptRanks.h"

using namespace mlir;
using namespace peer;
using namespace peer::loops;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Stores the k best of n scores and their indices, best first.
static void emitTopK(LoopBuilder &b, Value n, int64_t k, llvm::function_ref<Value(Value)> score,
                     llvm::function_ref<void(Value round, Value value, Value index)> keep) {
  Value zero = b.index(0), none = b.i32(-1);
  b.loop(zero, b.index(k), {b.f32(kInfinity), none}, [&](Value round, ValueRange previous) {
    Values best = b.loop(zero, n, {b.f32(-kInfinity), none}, [&](Value j, ValueRange carried) {
      Value x = emitScore(b, score(j)), index = b.toI32(j);
      Value after =
          either(b, b.cmp(CmpFPredicate::OLT, x, previous[0]),
                 both(b, b.cmp(CmpFPredicate::OEQ, x, previous[0]), b.cmp(CmpIPredicate::sgt, index, previous[1])));
      // Indices come in ascending order, so an equal score never replaces an earlier one.
      Value better =
          either(b, b.cmp(CmpIPredicate::slt, carried[1], b.i32(0)), b.cmp(CmpFPredicate::OGT, x, carried[0]));
      Value take = both(b, after, better);
      return Values{b.select(take, x, carried[0]), b.select(take, index, carried[1])};
    });
    keep(round, best[0], best[1]);
    return best;
  });
}

namespace {
/// The sorted halves of one row, in scratch buffers of shape 2 x k.
struct Halves {
  Value values, indices;
  int64_t k, n;

  Candidate candidate(LoopBuilder &b, Value i, Value j) const {
    Value first = b.index(0), second = b.index(1);
    Value expert = b.add(b.mul(b.load(indices, {first, i}), b.i32(n)), b.load(indices, {second, j}));
    Value rank = b.toF32(b.add(b.mul(i, b.index(k)), j));
    return emitCandidate(b, b.load(values, {first, i}), b.load(values, {second, j}), rank, expert);
  }
};
} // namespace

/// k rounds over the pairs of ranks (i, j) with (i + 1) * (j + 1) <= k.
static void emitProductTopK(LoopBuilder &b, const Halves &halves,
                            llvm::function_ref<void(Value round, Value value, Value expert)> keep) {
  Value zero = b.index(0), one = b.index(1), k = b.index(halves.k);
  // Every candidate comes after this one.
  Values start{b.f32(kInfinity), b.f32(kInfinity), b.i32(-1)};
  Values none{b.f32(-kInfinity), b.f32(-kInfinity), b.i32(std::numeric_limits<int32_t>::max())};
  b.loop(zero, k, start, [&](Value round, ValueRange previous) {
    Values best = b.loop(zero, k, none, [&](Value i, ValueRange outer) {
      return b.loop(zero, b.div(k, b.add(i, one)), outer, [&](Value j, ValueRange carried) {
        Candidate c = halves.candidate(b, i, j);
        Value take = both(b, emitPrecedes(b, {previous[0], previous[1], previous[2]}, c),
                          emitPrecedes(b, c, {carried[0], carried[1], carried[2]}));
        return Values{b.select(take, c.sum, carried[0]), b.select(take, c.rest, carried[1]),
                      b.select(take, c.expert, carried[2])};
      });
    });
    keep(round, best[0], best[2]);
    return best;
  });
}

/// Every expert, in order of its index.
static void emitAll(SelectOp op, LoopBuilder &b) {
  Value logits = op.getLogits(), idx = op.getIdx(), val = op.getVal();
  nest(b, dims(b, idx, 3), [&](ArrayRef<Value> at) {
    b.store(b.toI32(at[2]), idx, at);
    b.store(b.load(logits, {at[0], at[1], b.index(0), at[2]}), val, at);
  });
}

/// Each token counts those that its expert would rather have.
static void emitExpertChoice(SelectOp op, LoopBuilder &b) {
  Value logits = op.getLogits(), idx = op.getIdx(), val = op.getVal(), most = emitTokensPerExpert(b, op);
  nest(b, dims(b, idx, 3), [&](ArrayRef<Value> at) {
    auto scoreOf = [&](Value t) { return emitScore(b, b.load(logits, {t, at[1], b.index(0), at[2]})); };
    Value score = scoreOf(at[0]);
    Value before = b.loop(b.index(0), b.dim(logits, 0), {b.index(0)}, [&](Value other, ValueRange counted) {
      Value x = scoreOf(other), earlier = b.cmp(CmpIPredicate::ult, other, at[0]);
      Value ahead =
          either(b, b.cmp(CmpFPredicate::OGT, x, score), both(b, b.cmp(CmpFPredicate::OEQ, x, score), earlier));
      return Values{b.add(counted[0], b.select(ahead, b.index(1), b.index(0)))};
    })[0];
    Value taken = b.cmp(CmpIPredicate::ult, before, most);
    b.store(b.select(taken, b.toI32(at[2]), b.i32(-1)), idx, at);
    b.store(b.select(taken, score, b.f32(-kInfinity)), val, at);
  });
}

/// The k best, or the most of them that there may be; what else there is of a policy empties slots.
static void emitLargest(SelectOp op, LoopBuilder &b) {
  Value logits = op.getLogits(), idx = op.getIdx(), val = op.getVal();
  int64_t k = op.getNumSelected();
  Value n = b.dim(logits, 3), zero = b.index(0);
  bool product = op.isGrid();
  Halves halves{{}, {}, k, b.staticDim(logits, 3)};
  if (product) {
    halves.values = b.stack({2, k}, b.getF32Type());
    halves.indices = b.stack({2, k}, b.getI32Type());
  }
  nest(b, dims(b, logits, 2), [&](ArrayRef<Value> row) {
    auto keep = [&](Value round, Value value, Value index) {
      b.store(value, val, {row[0], row[1], round});
      b.store(index, idx, {row[0], row[1], round});
    };
    auto scoresOf = [&](Value p) { return [&, p](Value j) { return b.load(logits, {row[0], row[1], p, j}); }; };
    if (!product) {
      emitTopK(b, n, k, scoresOf(zero), keep);
      emitCut(b, Ranking(op), row[0], row[1], 1);
      return;
    }
    for (int64_t p = 0; p < 2; ++p)
      emitTopK(b, n, k, scoresOf(b.index(p)), [&](Value round, Value value, Value index) {
        b.store(value, halves.values, {b.index(p), round});
        b.store(index, halves.indices, {b.index(p), round});
      });
    emitProductTopK(b, halves, keep);
  });
}

static void emitSelect(SelectOp op, LoopBuilder &b) {
  if (op.getPolicy().selectsAll())
    return emitAll(op, b);
  if (op.getPolicy().choosesTokens())
    return emitExpertChoice(op, b);
  if (op.getPolicy().selectsLargest() || op.getPolicy().hasVaryingCounts())
    return emitLargest(op, b);
  llvm_unreachable("every policy has an emitter here");
}

void loops::addSelect(LoopEmitters &emitters) { emitters.loops<SelectOp>(emitSelect); }
