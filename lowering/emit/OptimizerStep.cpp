//===- OptimizerStep.cpp - the step of an optimizer ----------------------===//
//
// One emitter per optimizer, in kEmitters.
//
//===----------------------------------------------------------------------===//

#include "OptimizerStep.h"
#include "narrow/Rounding.h"

using namespace mlir;
using namespace peer;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

/// p - rate * (direction + decay * p).
static Value emitStep(LoopBuilder &b, Value param, Value direction, Value rate, double decay) {
  Type type = param.getType();
  if (decay != 0)
    direction = b.fma(b.f32(decay, type), param, direction);
  return b.sub(param, b.mul(b.splat(rate, type), direction));
}

//===----------------------------------------------------------------------===//
// sgd
//===----------------------------------------------------------------------===//

static Values emitSGD(LoopBuilder &b, const OptimizerStep &step, Value param, Value g, ValueRange states) {
  auto sgd = cast<SGDAttr>(step.optimizer);
  double decay = sgd.getWeightDecay().getValueAsDouble();
  if (states.empty())
    return {emitStep(b, param, g, step.rate, decay)};
  Value m = b.fma(b.f32(sgd.getMomentum().getValueAsDouble(), param.getType()), states[0], g);
  return {emitStep(b, param, m, step.rate, decay), m};
}

//===----------------------------------------------------------------------===//
// adamw
//===----------------------------------------------------------------------===//

/// 1 / (1 - beta^step), beta^step by repeated squaring in f64: 1 - beta^step cancels for a beta near 1, and steps
/// run into the millions.
static Value emitCorrection(LoopBuilder &b, double beta, Value step) {
  auto f64 = [&](double value) -> Value { return arith::ConstantOp::create(b, b.getF64FloatAttr(value)); };
  Value count = arith::FPToSIOp::create(b, b.getI64Type(), step);
  Values result = b.loop(b.index(0), b.index(63), {f64(1), f64(beta), count}, [&](Value, ValueRange carried) {
    Value odd = b.cmp(CmpIPredicate::ne, both(b, carried[2], b.i64(1)), b.i64(0));
    Value power = b.select(odd, b.mul(carried[0], carried[1]), carried[0]);
    return Values{power, b.mul(carried[1], carried[1]), arith::ShRUIOp::create(b, carried[2], b.i64(1))};
  });
  return arith::TruncFOp::create(b, b.getF32Type(), b.div(f64(1), b.sub(f64(1), result[0])));
}

static double number(FloatAttr attribute) { return attribute.getValueAsDouble(); }

/// a * x + (1 - a) * y.
static Value emitBlend(LoopBuilder &b, double a, Value x, Value y) {
  return b.fma(b.f32(a, x.getType()), x, b.mul(b.f32(1 - a, x.getType()), y));
}

/// The corrections of the moments: of the first, where it is not the gradient itself, then of the second.
template <typename AdamAttr>
static Values emitAdamNumbers(LoopBuilder &b, OptimizerAttrInterface optimizer, Value count) {
  auto adam = cast<AdamAttr>(optimizer);
  Values numbers;
  if (double beta = number(adam.getBeta1()); beta != 0)
    numbers.push_back(emitCorrection(b, beta, count));
  numbers.push_back(emitCorrection(b, number(adam.getBeta2()), count));
  return numbers;
}

/// The new first moment: appended to what is kept, where beta1 is not 0.
template <typename AdamAttr>
static Value emitFirstMoment(LoopBuilder &b, AdamAttr adam, Value g, ValueRange states, Values &kept) {
  double beta = number(adam.getBeta1());
  if (beta == 0)
    return g;
  kept.push_back(emitBlend(b, beta, states.front(), g));
  return kept.back();
}

/// The parameter after a step by the new moments m and v.
template <typename AdamAttr>
static Value emitAdamStep(LoopBuilder &b, const OptimizerStep &step, AdamAttr adam, Value param, Value m, Value v) {
  Type type = param.getType();
  Value mean = number(adam.getBeta1()) == 0 ? m : b.mul(m, b.splat(step.numbers.front(), type));
  Value root = b.sqrt(b.mul(v, b.splat(step.numbers.back(), type)));
  Value direction = b.div(mean, b.add(root, b.f32(number(adam.getEpsilon()), type)));
  return emitStep(b, param, direction, step.rate, number(adam.getWeightDecay()));
}

static Values emitAdamW(LoopBuilder &b, const OptimizerStep &step, Value param, Value g, ValueRange states) {
  auto adamw = cast<AdamWAttr>(step.optimizer);
  Values updated(1);
  Value m = emitFirstMoment(b, adamw, g, states, updated);
  Value v = emitBlend(b, number(adamw.getBeta2()), states.back(), b.mul(g, g));
  updated.front() = emitAdamStep(b, step, adamw, param, m, v);
  updated.push_back(v);
  return updated;
}

//===----------------------------------------------------------------------===//
// rowwise_adam and rowwise_adagrad
//===----------------------------------------------------------------------===//

static Value emitRowwiseAdamMean(LoopBuilder &b, const OptimizerStep &step, Value mean, Value old) {
  return emitBlend(b, number(cast<RowwiseAdamAttr>(step.optimizer).getBeta2()), old, mean);
}

static Values emitRowwiseAdam(LoopBuilder &b, const OptimizerStep &step, Value param, Value g, ValueRange states) {
  auto adam = cast<RowwiseAdamAttr>(step.optimizer);
  Values updated(1);
  Value m = emitFirstMoment(b, adam, g, states, updated);
  updated.front() = emitAdamStep(b, step, adam, param, m, states.back());
  return updated;
}

static Value emitAdagradMean(LoopBuilder &b, const OptimizerStep &, Value mean, Value old) { return b.add(old, mean); }

static Values emitAdagrad(LoopBuilder &b, const OptimizerStep &step, Value param, Value g, ValueRange states) {
  auto adagrad = cast<RowwiseAdagradAttr>(step.optimizer);
  Value root = b.add(b.sqrt(states[0]), b.f32(number(adagrad.getEpsilon()), param.getType()));
  return {emitStep(b, param, b.div(g, root), step.rate, number(adagrad.getWeightDecay()))};
}

//===----------------------------------------------------------------------===//
// adafactor
//===----------------------------------------------------------------------===//

/// step^-decay_rate: how much of a moment is new.
static Values emitAdafactorNumbers(LoopBuilder &b, OptimizerAttrInterface optimizer, Value count) {
  return {b.exp(b.mul(b.f32(-number(cast<AdafactorAttr>(optimizer).getDecayRate())), b.log(count)))};
}

static Value emitAdafactorMean(LoopBuilder &b, const OptimizerStep &step, Value mean, Value old) {
  Type type = old.getType();
  Value share = b.splat(step.numbers[0], type),
        epsilon = b.f32(number(cast<AdafactorAttr>(step.optimizer).getEpsilon()), type);
  return b.fma(share, b.add(mean, epsilon), b.mul(b.sub(b.f32(1, type), share), old));
}

static Value emitAdafactorMoment(LoopBuilder &b, const OptimizerStep &step, Value g, ValueRange states) {
  return emitAdafactorMean(b, step, b.mul(g, g), states[0]);
}

static Value emitAdafactorDirection(LoopBuilder &b, const OptimizerStep &step, Value g, ValueRange states) {
  if (states.size() == 1)
    return b.div(g, b.sqrt(emitAdafactorMoment(b, step, g, states)));
  // The product of two moments can be too small for f32; a row's share of them cannot.
  Value share = b.div(states[0], b.splat(step.rowMean, g.getType()));
  return b.div(g, b.sqrt(b.mul(share, states[1])));
}

static Value emitAdafactorBound(LoopBuilder &b, const OptimizerStep &step, Value meanSquare) {
  Value beyond = b.div(b.sqrt(meanSquare), b.f32(number(cast<AdafactorAttr>(step.optimizer).getClipThreshold())));
  return b.div(b.f32(1), b.max(b.f32(1), beyond));
}

static Values emitAdafactor(LoopBuilder &b, const OptimizerStep &step, Value param, Value g, ValueRange states) {
  double decay = number(cast<AdafactorAttr>(step.optimizer).getWeightDecay());
  Value direction = emitAdafactorDirection(b, step, g, states);
  Values updated{emitStep(b, param, b.mul(direction, b.splat(step.bound, g.getType())), step.rate, decay)};
  if (states.size() == 1)
    updated.push_back(emitAdafactorMoment(b, step, g, states));
  return updated;
}

//===----------------------------------------------------------------------===//
// All optimizers
//===----------------------------------------------------------------------===//

namespace {
struct Emitter {
  TypeID optimizer;
  /// Computed once per op from the number of the step; null where the step does not depend on it.
  Values (*numbers)(LoopBuilder &b, OptimizerAttrInterface optimizer, Value step);
  /// The new parameter, then the new states of elements, of a gradient that is scaled.
  Values (*step)(LoopBuilder &b, const OptimizerStep &step, Value param, Value grad, ValueRange states);
  /// The new state of a row or a column.
  Value (*mean)(LoopBuilder &b, const OptimizerStep &step, Value mean, Value old) = nullptr;
  /// The direction of a step that is bounded, of a gradient that is scaled, and the factor that bounds it.
  Value (*direction)(LoopBuilder &b, const OptimizerStep &step, Value grad, ValueRange states) = nullptr;
  Value (*bound)(LoopBuilder &b, const OptimizerStep &step, Value meanSquare) = nullptr;
};
} // namespace

static const Emitter &findEmitter(OptimizerAttrInterface optimizer) {
  static const Emitter kEmitters[] = {
      {TypeID::get<AdamWAttr>(), emitAdamNumbers<AdamWAttr>, emitAdamW},
      {TypeID::get<SGDAttr>(), nullptr, emitSGD},
      {TypeID::get<RowwiseAdamAttr>(), emitAdamNumbers<RowwiseAdamAttr>, emitRowwiseAdam, emitRowwiseAdamMean},
      {TypeID::get<RowwiseAdagradAttr>(), nullptr, emitAdagrad, emitAdagradMean},
      {TypeID::get<AdafactorAttr>(), emitAdafactorNumbers, emitAdafactor, emitAdafactorMean, emitAdafactorDirection,
       emitAdafactorBound},
  };
  for (const Emitter &emitter : kEmitters)
    if (emitter.optimizer == optimizer.getTypeID())
      return emitter;
  llvm_unreachable("every optimizer has an emitter");
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

Value peer::emitRoundingSeed(LoopBuilder &b, OptimizerAttrInterface optimizer, Value table, Value step) {
  auto type = cast<MemRefType>(table.getType());
  bool rounds = type.getElementType().isBF16() ||
                llvm::any_of(optimizer.getStates(type.getShape()),
                             [](const OptimizerState &state) { return state.element.isBF16(); });
  return rounds && !optimizer.getNearest() ? emitSeed(b, step) : Value();
}

OptimizerStep peer::emitOptimizerStep(LoopBuilder &b, OptimizerAttrInterface optimizer, Value table, Value rate,
                                      Value step, Value scale) {
  OptimizerStep result;
  result.optimizer = optimizer;
  result.states = optimizer.getStates(cast<MemRefType>(table.getType()).getShape());
  result.rate = b.load(rate, {});
  result.scale = b.load(scale, {});
  result.seed = emitRoundingSeed(b, optimizer, table, step);
  if (auto numbers = findEmitter(optimizer).numbers)
    result.numbers = numbers(b, optimizer, b.load(step, {}));
  return result;
}

bool OptimizerStep::hasMeans() const {
  return llvm::any_of(states, [](const OptimizerState &state) { return state.kind != StateKind::Whole; });
}

static Value emitScaled(LoopBuilder &b, const OptimizerStep &step, Value grad) {
  return b.mul(b.splat(step.scale, grad.getType()), grad);
}

Value peer::emitSquare(LoopBuilder &b, const OptimizerStep &step, Value grad) {
  Value scaled = emitScaled(b, step, grad);
  return b.mul(scaled, scaled);
}

/// A choice for each value, not a branch around the pass: it costs nothing beside the memory, and no path can miss it.
static Value emitVetoed(LoopBuilder &b, const OptimizerStep &step, Value before, Value after) {
  return b.select(b.cmp(CmpFPredicate::UNO, step.scale, step.scale), before, after);
}

Value peer::emitMeanState(LoopBuilder &b, const OptimizerStep &step, Value mean, Value old) {
  return emitVetoed(b, step, old, findEmitter(step.optimizer).mean(b, step, mean, old));
}

Values peer::emitRowStates(LoopBuilder &b, const OptimizerStep &step, ValueRange states, Value row, Value mean) {
  Values means;
  for (auto [state, kind] : llvm::zip_equal(states, step.states)) {
    means.push_back({});
    if (kind.kind != StateKind::Row)
      continue;
    means.back() = emitMeanState(b, step, mean, b.load(state, {row}));
    b.store(means.back(), state, {row});
  }
  return means;
}

bool peer::isBounded(OptimizerAttrInterface optimizer) { return findEmitter(optimizer).direction; }

Value peer::emitDirection(LoopBuilder &b, const OptimizerStep &step, Value grad, ValueRange states) {
  return findEmitter(step.optimizer).direction(b, step, emitScaled(b, step, grad), states);
}

Value peer::emitBound(LoopBuilder &b, const OptimizerStep &step, Value meanSquare) {
  return findEmitter(step.optimizer).bound(b, step, meanSquare);
}

Values peer::emitUpdate(LoopBuilder &b, const OptimizerStep &step, Value param, Value grad, ValueRange states) {
  Values updated = findEmitter(step.optimizer).step(b, step, param, emitScaled(b, step, grad), states);
  updated[0] = emitVetoed(b, step, param, updated[0]);
  auto *after = updated.begin();
  for (auto [state, before] : llvm::zip_equal(step.states, states))
    if (state.kind == StateKind::Whole) {
      ++after;
      *after = emitVetoed(b, step, before, *after);
    }
  return updated;
}

void peer::emitUpdateAt(LoopBuilder &b, const OptimizerStep &step, Value param, ValueRange states, Value grad,
                        ValueRange at, int64_t lanes, ArrayRef<Value> means, int64_t run) {
  Value p = b.load(param, at, lanes);
  Values old, tables{param};
  for (auto [i, state] : llvm::enumerate(states))
    if (Value mean = i < means.size() ? means[i] : Value()) {
      old.push_back(mean.getType() == p.getType() ? mean : b.splat(mean, p.getType()));
    } else {
      old.push_back(b.load(state, at, lanes));
      tables.push_back(state);
    }
  Values updated = emitRounded(b, step.seed, emitUpdate(b, step, p, grad, old), tables, at, run);
  for (auto [table, value] : llvm::zip_equal(tables, updated))
    b.store(value, table, at);
}
