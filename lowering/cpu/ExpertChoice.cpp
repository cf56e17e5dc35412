//===- ExpertChoice.cpp - experts that choose tokens, in vectors ---------===//
//
// A lane has an expert, so the scores of a token are loaded side by side. Vectors of experts run in parallel.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "SortedList.h"

#include "lowering/emit/ExpertChoice.h"

using namespace mlir;
using namespace peer;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The tokens that the experts from `first` on take.
static void emitExperts(SelectOp op, LoopBuilder &b, Value head, Value first, int64_t lanes, Value most) {
  Value logits = op.getLogits(), idx = op.getIdx(), val = op.getVal();
  Value zero = b.index(0), tokens = b.dim(logits, 0);
  Type like = b.floats(lanes);
  auto all = [&](int64_t number) { return b.splat(b.i32(number), like); };
  auto scoresOf = [&](Value t) { return b.load(logits, {t, head, zero, first}, lanes); };
  auto count = [&](CmpIPredicate predicate, Value bound) {
    return b.loop(zero, tokens, {all(0)}, [&](Value t, ValueRange counted) {
      Value counts = b.cmp(predicate, emitOrderedBits(b, scoresOf(t)), bound);
      return Values{b.add(counted[0], b.select(counts, all(1), all(0)))};
    })[0];
  };
  Value last = emitLastTaken(b, most, like, [&](Value bound) { return count(CmpIPredicate::uge, bound); });
  Value room = b.sub(b.splat(most, like), count(CmpIPredicate::ugt, last));
  Value experts = b.splat(b.toI32(first), like);
  if (lanes > 1)
    experts = b.add(experts, cpu::emitIota(b, lanes));
  b.loop(zero, tokens, {room}, [&](Value t, ValueRange left) {
    Value scores = emitScore(b, scoresOf(t)), bits = emitOrderedBits(b, scores);
    Value tied = both(b, b.cmp(CmpIPredicate::eq, bits, last), b.cmp(CmpIPredicate::sgt, left[0], all(0)));
    Value taken = either(b, b.cmp(CmpIPredicate::ugt, bits, last), tied);
    b.store(b.select(taken, experts, all(-1)), idx, {t, head, first});
    b.store(b.select(taken, scores, b.f32(-kInfinity, like)), val, {t, head, first});
    return Values{b.sub(left[0], b.select(tied, all(1), all(0)))};
  });
}

void cpu::emitExpertChoice(SelectOp op, LoopBuilder &b, int64_t width) {
  int64_t n = op.getNumKeys(), lanes = width;
  while (n % lanes != 0)
    lanes /= 2;
  Value most = b.toI32(emitTokensPerExpert(b, op));
  b.parallel({b.dim(op.getLogits(), 1), b.index(n / lanes)},
             [&](ValueRange at) { emitExperts(op, b, at[0], b.mul(at[1], b.index(lanes)), lanes, most); });
}
