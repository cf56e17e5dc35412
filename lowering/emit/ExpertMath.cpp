//===- ExpertMath.cpp - the formulas that define what a layer computes ---===//

#include "ExpertMath.h"

using namespace mlir;
using namespace peer;
using arith::CmpFPredicate;

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

Value peer::emitIsNone(LoopBuilder &b, Value score) {
  Value lowest = b.f32(-std::numeric_limits<double>::infinity(), score.getType());
  return b.cmp(CmpFPredicate::OEQ, score, lowest);
}

static Value emitTerm(LoopBuilder &b, GateKind kind, Value score, Value highest) {
  switch (kind) {
  case GateKind::Softmax:
    return b.exp(b.sub(score, b.splat(highest, score.getType())));
  case GateKind::Sigmoid:
    return emitSigmoid(b, score);
  case GateKind::Relu:
    return b.max(score, b.f32(0, score.getType()));
  case GateKind::One:
    return b.f32(1, score.getType());
  case GateKind::Probability:
    break;
  }
  llvm_unreachable("the verifier refuses the gate 'probability'");
}

Value peer::emitGateTerm(LoopBuilder &b, GateKind kind, Value score, Value highest, Value none) {
  return b.select(none, b.f32(0, score.getType()), emitTerm(b, kind, score, highest));
}

Value peer::emitSoftmaxFactor(LoopBuilder &b, Value total) {
  // Nothing selected: all terms are 0, and must not become 0 / 0.
  Value empty = b.cmp(CmpFPredicate::OEQ, total, b.f32(0));
  return b.select(empty, b.f32(0), b.div(b.f32(1), total));
}

Value peer::emitGateGradient(LoopBuilder &b, GateKind kind, Value weight, Value dweight, Value mean,
                             llvm::function_ref<Value()> score) {
  Type type = weight.getType();
  switch (kind) {
  case GateKind::Softmax:
    return b.mul(weight, b.sub(dweight, b.splat(mean, type)));
  case GateKind::Sigmoid:
    return b.mul(b.mul(dweight, weight), b.sub(b.f32(1, type), weight));
  case GateKind::Relu:
    return b.select(b.cmp(CmpFPredicate::OGT, score(), b.f32(0, type)), dweight, b.f32(0, type));
  case GateKind::One:
    return b.f32(0, type);
  case GateKind::Probability:
    break;
  }
  llvm_unreachable("the verifier refuses the gate 'probability'");
}

//===----------------------------------------------------------------------===//
// Mixes
//===----------------------------------------------------------------------===//

Value peer::emitMixScale(LoopBuilder &b, std::optional<Activation> activation, Value weight, ValueRange dots) {
  Value scale = weight;
  if (dots.size() > 0)
    scale = b.mul(scale, emitActivation(b, *activation, dots[0]));
  if (dots.size() > 1)
    scale = b.mul(scale, dots[1]);
  return scale;
}

MixGradient peer::emitMixGradient(LoopBuilder &b, std::optional<Activation> activation, Value weight, ValueRange dots) {
  Value c = dots.back();
  if (dots.size() == 1)
    return {{weight}, c};
  Value a = dots[0], act = emitActivation(b, *activation, a), value = act;
  Value da = b.mul(b.mul(weight, emitActivationGrad(b, *activation, a)), c);
  MixGradient result;
  if (dots.size() == 2) {
    result.coefs = {da};
  } else {
    result.coefs = {b.mul(da, dots[1]), b.mul(b.mul(weight, act), c)};
    value = b.mul(act, dots[1]);
  }
  result.coefs.push_back(b.mul(weight, value));
  result.ofWeight = b.mul(value, c);
  return result;
}

//===----------------------------------------------------------------------===//
// Experts and their keys
//===----------------------------------------------------------------------===//

Value peer::emitKeyOf(LoopBuilder &b, Value expert, int64_t half, int64_t halves, int64_t n) {
  if (halves == 1)
    return expert;
  Value keys = expert.getType().isIndex() ? b.index(n) : b.i32(n);
  return half == 0 ? b.div(expert, keys) : b.rem(expert, keys);
}

Value peer::emitKeyOf(LoopBuilder &b, Value expert, Value half, int64_t halves, int64_t n) {
  if (halves == 1)
    return expert;
  Value first = b.cmp(arith::CmpIPredicate::eq, half, b.index(0));
  return b.select(first, emitKeyOf(b, expert, int64_t(0), halves, n), emitKeyOf(b, expert, int64_t(1), halves, n));
}
