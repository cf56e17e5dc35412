//===- OptimizerStep.cpp - the step of an optimizer ----------------------===//
//
// One emitter per optimizer, in kEmitters.
//
//===----------------------------------------------------------------------===//

#include "OptimizerStep.h"

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
  auto i64 = [&](int64_t value) -> Value { return arith::ConstantOp::create(b, b.getI64IntegerAttr(value)); };
  Value count = arith::FPToSIOp::create(b, b.getI64Type(), step);
  Values result = b.loop(b.index(0), b.index(63), {f64(1), f64(beta), count}, [&](Value, ValueRange carried) {
    Value odd = b.cmp(CmpIPredicate::ne, both(b, carried[2], i64(1)), i64(0));
    Value power = b.select(odd, b.mul(carried[0], carried[1]), carried[0]);
    return Values{power, b.mul(carried[1], carried[1]), arith::ShRUIOp::create(b, carried[2], i64(1))};
  });
  return arith::TruncFOp::create(b, b.getF32Type(), b.div(f64(1), b.sub(f64(1), result[0])));
}

/// The corrections of both moments.
static Values emitAdamWNumbers(LoopBuilder &b, OptimizerAttrInterface optimizer, Value count) {
  auto adamw = cast<AdamWAttr>(optimizer);
  Value first = emitCorrection(b, adamw.getBeta1().getValueAsDouble(), count);
  return {first, emitCorrection(b, adamw.getBeta2().getValueAsDouble(), count)};
}

static Values emitAdamW(LoopBuilder &b, const OptimizerStep &step, Value param, Value g, ValueRange states) {
  Type type = param.getType();
  auto adamw = cast<AdamWAttr>(step.optimizer);
  double b1 = adamw.getBeta1().getValueAsDouble(), b2 = adamw.getBeta2().getValueAsDouble();
  Value m = b.fma(b.f32(b1, type), states[0], b.mul(b.f32(1 - b1, type), g));
  Value v = b.fma(b.f32(b2, type), states[1], b.mul(b.f32(1 - b2, type), b.mul(g, g)));
  Value mean = b.mul(m, b.splat(step.numbers[0], type));
  Value root = b.sqrt(b.mul(v, b.splat(step.numbers[1], type)));
  Value direction = b.div(mean, b.add(root, b.f32(adamw.getEpsilon().getValueAsDouble(), type)));
  return {emitStep(b, param, direction, step.rate, adamw.getWeightDecay().getValueAsDouble()), m, v};
}

//===----------------------------------------------------------------------===//
// All optimizers
//===----------------------------------------------------------------------===//

namespace {
struct Emitter {
  TypeID optimizer;
  /// Computed once per op from the number of the step; null where the step does not depend on it.
  Values (*numbers)(LoopBuilder &b, OptimizerAttrInterface optimizer, Value step);
  /// The new parameter, then the new states, of a gradient that is scaled.
  Values (*step)(LoopBuilder &b, const OptimizerStep &step, Value param, Value grad, ValueRange states);
};
} // namespace

static const Emitter &findEmitter(OptimizerAttrInterface optimizer) {
  static const Emitter kEmitters[] = {
      {TypeID::get<AdamWAttr>(), emitAdamWNumbers, emitAdamW},
      {TypeID::get<SGDAttr>(), nullptr, emitSGD},
  };
  for (const Emitter &emitter : kEmitters)
    if (emitter.optimizer == optimizer.getTypeID())
      return emitter;
  llvm_unreachable("every optimizer has an emitter");
}

OptimizerStep peer::emitOptimizerStep(LoopBuilder &b, OptimizerAttrInterface optimizer, Value rate, Value step,
                                      Value scale) {
  OptimizerStep result{optimizer, b.load(rate, {}), b.load(scale, {}), {}};
  if (auto numbers = findEmitter(optimizer).numbers)
    result.numbers = numbers(b, optimizer, b.load(step, {}));
  return result;
}

Values peer::emitUpdate(LoopBuilder &b, const OptimizerStep &step, Value param, Value grad, ValueRange states) {
  Values updated =
      findEmitter(step.optimizer).step(b, step, param, b.mul(b.splat(step.scale, param.getType()), grad), states);
  // A choice for each value, not a branch around the pass: it costs nothing beside the memory, and no path can miss it.
  Value vetoed = b.cmp(CmpFPredicate::UNO, step.scale, step.scale);
  updated[0] = b.select(vetoed, param, updated[0]);
  for (auto [after, before] : llvm::zip(MutableArrayRef<Value>(updated).drop_front(), states))
    after = b.select(vetoed, before, after);
  return updated;
}

void peer::emitUpdateAt(LoopBuilder &b, const OptimizerStep &step, Value param, ValueRange states, Value grad,
                        ValueRange at, int64_t lanes) {
  Value p = b.load(param, at, lanes);
  Values old;
  for (Value state : states)
    old.push_back(b.load(state, at, lanes));
  Values updated = emitUpdate(b, step, p, grad, old);
  b.store(updated[0], param, at);
  for (auto [state, value] : llvm::zip(states, ArrayRef<Value>(updated).drop_front()))
    b.store(value, state, at);
}
