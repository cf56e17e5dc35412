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
  // From 1 on all are kept, whatever was rounded away.
  Value p, keepsAll;
  if (FloatAttr given = policy.getP()) {
    if (given.getValueAsDouble() >= 1)
      return {};
    p = b.f32(given.getValueAsDouble());
  } else {
    p = b.load(ranking.threshold, {});
    keepsAll = b.cmp(CmpFPredicate::OGE, p, b.f32(1));
  }
  Value highest = b.load(ranking.val, {t, h, b.index(0)});
  auto mass = [&](Value score) { return emitGateTerm(b, GateKind::Softmax, score, highest, emitIsNone(b, score)); };
  Value total = b.sumStrips(b.dim(ranking.logits, 3), width, [&](Value at, int64_t lanes) {
    return mass(emitScore(b, b.load(ranking.logits, {t, h, b.index(0), at}, lanes)));
  });
  Value enough = b.mul(total, p);
  return emitCount(b, ranking, t, h, [&](Value rank, Value score, Value before) {
    Value first = b.cmp(CmpIPredicate::eq, rank, b.index(0));
    Value kept = either(b, first, b.cmp(CmpFPredicate::OLT, before, enough));
    return std::make_pair(keepsAll ? either(b, kept, keepsAll) : kept, b.add(before, mass(score)));
  });
}

/// The score whose sigmoid it is; infinite where none is. What is no number has none above it.
static Value emitLogit(LoopBuilder &b, Value sigmoid) {
  Value zero = b.f32(0), one = b.f32(1), below = b.cmp(CmpFPredicate::OLT, sigmoid, one);
  // No operand of the logarithm is one that approximations treat apart.
  Value inside = both(b, below, b.cmp(CmpFPredicate::OGT, sigmoid, zero)), safe = b.select(inside, sigmoid, b.f32(0.5));
  Value beyond = b.select(below, b.f32(-kInfinity), b.f32(kInfinity));
  return b.select(inside, b.log(b.div(safe, b.sub(one, safe))), beyond);
}

static Value emitBound(LoopBuilder &b, ThresholdPolicyAttr policy, Value threshold) {
  if (FloatAttr given = policy.getThreshold()) {
    double bound = given.getValueAsDouble();
    return b.f32(policy.getSigmoid() ? std::log(bound / (1 - bound)) : bound);
  }
  Value bound = b.load(threshold, {});
  return policy.getSigmoid() ? emitLogit(b, bound) : bound;
}

static Value emitKept(LoopBuilder &b, const Ranking &ranking, ThresholdPolicyAttr policy, Value t, Value h) {
  Value bound = emitBound(b, policy, ranking.threshold);
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
