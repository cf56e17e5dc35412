//===- KeptRanks.cpp - how many of a row's best a policy keeps -----------===//

#include "KeptRanks.h"

#include "ExpertMath.h"
#include "RoutingBuilder.h"

#include <cmath>

using namespace mlir;
using namespace peer;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Counts the ranks that `keeps`; what it carries from rank to rank begins at 0.
static Value emitCount(LoopBuilder &b, const Ranking &ranking, Value t, Value h,
                       llvm::function_ref<std::pair<Value, Value>(Value rank, Value score, Value carried)> keeps) {
  return b.loop(b.index(0), b.dim(ranking.val, 2), {b.index(0), b.f32(0)}, [&](Value rank, ValueRange carried) {
    auto [kept, next] = keeps(rank, b.load(ranking.val, {t, h, rank}), carried[1]);
    return Values{b.add(carried[0], b.select(kept, b.index(1), b.index(0))), next};
  })[0];
}

/// Mass is in units of the best score's, so that no rank's needs a division.
static Value emitKept(LoopBuilder &b, const Ranking &ranking, TopPPolicyAttr policy, Value t, Value h, int64_t width) {
  double p = policy.getP().getValueAsDouble();
  // Whatever was rounded away.
  if (p >= 1)
    return {};
  Value highest = b.load(ranking.val, {t, h, b.index(0)});
  auto mass = [&](Value score) { return emitGateTerm(b, GateKind::Softmax, score, highest, emitIsNone(b, score)); };
  Value total = b.sumStrips(b.dim(ranking.logits, 3), width, [&](Value at, int64_t lanes) {
    return mass(emitScore(b, b.load(ranking.logits, {t, h, b.index(0), at}, lanes)));
  });
  Value enough = b.mul(total, b.f32(p));
  return emitCount(b, ranking, t, h, [&](Value rank, Value score, Value before) {
    Value first = b.cmp(CmpIPredicate::eq, rank, b.index(0));
    return std::make_pair(either(b, first, b.cmp(CmpFPredicate::OLT, before, enough)), b.add(before, mass(score)));
  });
}

static Value emitKept(LoopBuilder &b, const Ranking &ranking, ThresholdPolicyAttr policy, Value t, Value h) {
  double threshold = policy.getThreshold().getValueAsDouble();
  // The score whose sigmoid it is.
  if (policy.getSigmoid())
    threshold = std::log(threshold / (1 - threshold));
  Value bound = b.f32(threshold);
  return emitCount(b, ranking, t, h, [&](Value, Value score, Value none) {
    return std::make_pair(b.cmp(CmpFPredicate::OGT, score, bound), none);
  });
}

Value peer::emitKeptRanks(LoopBuilder &b, const Ranking &ranking, Value t, Value h, int64_t width) {
  Attribute policy = ranking.policy;
  if (!ranking.policy.hasVaryingCounts())
    return {};
  if (auto topP = dyn_cast<TopPPolicyAttr>(policy))
    return emitKept(b, ranking, topP, t, h, width);
  if (auto threshold = dyn_cast<ThresholdPolicyAttr>(policy))
    return emitKept(b, ranking, threshold, t, h);
  llvm_unreachable("every policy of varying counts has a cut here");
}

void peer::emitEmptySlots(LoopBuilder &b, const Ranking &ranking, Value t, Value h, Value kept) {
  b.strips(b.dim(ranking.val, 2), 1, [&](Value at, int64_t) {
    b.ifThen(b.cmp(CmpIPredicate::uge, at, kept), [&] {
      b.store(b.i32(-1), ranking.idx, {t, h, at});
      b.store(b.f32(-kInfinity), ranking.val, {t, h, at});
    });
  });
}

void peer::emitCut(LoopBuilder &b, const Ranking &ranking, Value t, Value h, int64_t width) {
  if (Value kept = emitKeptRanks(b, ranking, t, h, width))
    emitEmptySlots(b, ranking, t, h, kept);
}
