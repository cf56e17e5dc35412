//===- Balance.cpp - constraints and index notation: what keeps use even -===//

#include "dialect/ops/Check.h"

#include <cmath>

using namespace mlir;
using namespace peer;

/// C2 of the ops that read all logits.
static LogicalResult checkLogits(Check &check, bool heads = true) {
  return check.require(2, check['n'] >= 1 && (check['P'] == 1 || check['P'] == 2) && (!heads || check['H'] >= 1),
                       "expected logits of at least 1 head, of 1 or 2 halves and of at least 1 key, got " +
                           Twine(check['H']) + " x " + Twine(check['P']) + " x " + Twine(check['n']));
}

/// C2 of the ops that number experts by `n` keys per half.
static LogicalResult checkExperts(Check &check, int64_t n, int64_t halves) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  bool fits = n >= 1 && (halves == 1 ? n <= kMost : halves == 2 && n <= kMost / n);
  return check.require(2, fits,
                       "expected 1 or 2 halves of at least 1 key, whose experts fit in i32, got " + Twine(halves) +
                           " of " + Twine(n));
}

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

PEER_INFER(ExpertLoadOp) {
  Check check(loc, "expert_load");
  // Types are inferred while an op is parsed, before absent attributes get their default.
  int64_t halves = a.getHalvesAttr() ? int64_t(a.getHalves()) : 1, n = a.getKeys();
  if (failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) || failed(checkExperts(check, n, halves)))
    return failure();
  check.bind('P', halves);
  check.bind('n', n);
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("P n", Float32Type::get(context))}, types);
}

std::string ExpertLoadOp::getIndexNotation() { return "T . . -> . ."; }

PEER_INFER(BalanceLossOp) {
  Check check(loc, "balance_loss");
  if (failed(check.shape(1, "logits", a.getLogits(), "T H P n", Elements::F32)) ||
      failed(check.shape(1, "load", a.getLoad(), "P n", Elements::F32)) || failed(checkLogits(check)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T", Float32Type::get(context))}, types);
}

std::string BalanceLossOp::getIndexNotation() { return "t . . ., . . -> t"; }

PEER_INFER(BalanceLossGradOp) {
  Check check(loc, "balance_loss_grad");
  if (failed(check.shape(1, "logits", a.getLogits(), "T H P n", Elements::F32)) ||
      failed(check.shape(1, "load", a.getLoad(), "P n", Elements::F32)) ||
      failed(check.shape(1, "dloss", a.getDloss(), "T", Elements::F32)) || failed(checkLogits(check)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H P n", Float32Type::get(context))},
                         types);
}

std::string BalanceLossGradOp::getIndexNotation() { return "t h . ., . ., t -> t h . ."; }

PEER_INFER(ZLossOp) {
  Check check(loc, "z_loss");
  if (failed(check.shape(1, "logits", a.getLogits(), "T H P n", Elements::F32)) || failed(checkLogits(check)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T", Float32Type::get(context))}, types);
}

std::string ZLossOp::getIndexNotation() { return "t . . . -> t"; }

PEER_INFER(ZLossGradOp) {
  Check check(loc, "z_loss_grad");
  if (failed(check.shape(1, "logits", a.getLogits(), "T H P n", Elements::F32)) ||
      failed(check.shape(1, "dloss", a.getDloss(), "T", Elements::F32)) || failed(checkLogits(check)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H P n", Float32Type::get(context))},
                         types);
}

std::string ZLossGradOp::getIndexNotation() { return "t h . ., t -> t h . ."; }

//===----------------------------------------------------------------------===//
// Balance without a loss
//===----------------------------------------------------------------------===//

PEER_INFER(BalanceBiasOp) {
  Check check(loc, "balance_bias");
  // Before the default is there, none is wrong.
  double rate = a.getRateAttr() ? a.getRate().convertToDouble() : 0;
  SmallString<16> given;
  if (a.getRateAttr())
    a.getRate().toString(given);
  if (failed(check.shape(1, "logits", a.getLogits(), "T H P n", Elements::F32)) ||
      failed(check.shape(1, "bias", a.getBias(), "P n", Elements::F32)) || failed(checkLogits(check, false)) ||
      failed(check.require(3, rate >= 0 && std::isfinite(rate),
                           "expected a rate that is finite and at least 0, got " + given)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H P n", Float32Type::get(context))},
                         types);
}

std::string BalanceBiasOp::getIndexNotation() { return "t h . ., . . -> t h . ."; }

PEER_INFER(GatherOp) {
  Check check(loc, "gather");
  if (failed(check.shape(1, "logits", a.getLogits(), "T H P n", Elements::F32)) ||
      failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) || failed(checkLogits(check, false)) ||
      failed(checkExperts(check, check['n'], check['P'])))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H K", Float32Type::get(context))},
                         types);
}

std::string GatherOp::getIndexNotation() { return "t h . ., t h . -> t h ."; }

//===----------------------------------------------------------------------===//
// Capacity
//===----------------------------------------------------------------------===//

PEER_INFER(CapacityOp) {
  Check check(loc, "capacity");
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  int64_t least = a.getLeastAttr() ? int64_t(a.getLeast()) : 1, experts = a.getExperts();
  double factor = a.getFactor().convertToDouble();
  SmallString<16> given;
  a.getFactor().toString(given);
  if (failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) ||
      failed(check.shape(1, "weights", a.getWeights(), "T H K", Elements::F32)) ||
      failed(check.require(2, experts >= 1 && experts <= kMost,
                           "expected at least 1 expert, and so many that fit in i32, got " + Twine(experts))) ||
      failed(check.require(3, factor >= 0 && std::isfinite(factor),
                           "expected a factor that is finite and at least 0, got " + given)) ||
      failed(check.require(3, least >= 0 && least <= kMost,
                           "expected a least capacity that is at least 0 and fits in i32, got " + Twine(least))))
    return failure();
  return finishInference(
      check, a.getOperands(), a.getOuts(),
      {check.tensor("T H K", IntegerType::get(context, 32)), check.tensor("T H K", Float32Type::get(context))}, types);
}

std::string CapacityOp::getIndexNotation() { return "T . ., T . . -> T . ., T . ."; }
