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

//===----------------------------------------------------------------------===//
// Tables of bf16
//===----------------------------------------------------------------------===//

static Value constantLike(LoopBuilder &b, Type type, uint32_t bits) {
  APInt value(32, bits);
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(b, DenseElementsAttr::get(vector, value));
  return arith::ConstantOp::create(b, IntegerAttr::get(type, value));
}

/// A hash of 32 bits in which every bit depends on every one (C. Wellons, "Prospecting for hash functions").
static Value emitHash(LoopBuilder &b, Value x) {
  auto constant = [&](uint32_t bits) { return constantLike(b, x.getType(), bits); };
  auto fold = [&](uint32_t distance) {
    x = arith::XOrIOp::create(b, x, arith::ShRUIOp::create(b, x, constant(distance)));
  };
  fold(16);
  x = b.mul(x, constant(0x7feb352d));
  fold(15);
  x = b.mul(x, constant(0x846ca68b));
  fold(16);
  return x;
}

/// The number of table[at...], as an i32 that wraps.
static Value emitNumber(LoopBuilder &b, Value table, ValueRange at) {
  Value number = b.index(0);
  for (auto [i, position] : llvm::enumerate(at))
    number = b.add(b.mul(number, b.dim(table, i)), position);
  return b.toI32(number);
}

Value peer::emitRoundingSeed(LoopBuilder &b, Value table, Value step) {
  if (!cast<MemRefType>(table.getType()).getElementType().isBF16())
    return {};
  return emitHash(b, arith::BitcastOp::create(b, b.getI32Type(), b.load(step, {})));
}

Value peer::emitRounded(LoopBuilder &b, const OptimizerStep &step, Value updated, Value table, ValueRange at) {
  if (!step.seed)
    return updated;
  Type type = updated.getType();
  auto vector = dyn_cast<VectorType>(type);
  auto like = [&](Type element) -> Type { return vector ? vector.clone(element) : element; };
  Type i32 = like(b.getI32Type());
  Value number = b.splat(emitNumber(b, table, at), i32);
  if (vector) {
    auto lanes = llvm::to_vector(llvm::seq<int32_t>(0, vector.getNumElements()));
    number =
        b.add(number, arith::ConstantOp::create(b, DenseElementsAttr::get(cast<VectorType>(i32), ArrayRef(lanes))));
  }
  Value bits = arith::BitcastOp::create(b, i32, updated);
  Value chance = emitHash(b, arith::XOrIOp::create(b, number, b.splat(step.seed, i32)));
  Value sixteen = constantLike(b, i32, 16), exponent = constantLike(b, i32, 0x7f800000);
  // Nothing is added to what is no number: it could become one.
  Value finite = b.cmp(CmpIPredicate::ne, both(b, bits, exponent), exponent);
  chance = b.select(finite, arith::ShRUIOp::create(b, chance, sixteen), constantLike(b, i32, 0));
  Value high = arith::ShRUIOp::create(b, b.add(bits, chance), sixteen);
  return arith::BitcastOp::create(b, like(b.getBF16Type()), arith::TruncIOp::create(b, like(b.getI16Type()), high));
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

OptimizerStep peer::emitOptimizerStep(LoopBuilder &b, OptimizerAttrInterface optimizer, Value table, Value rate,
                                      Value step, Value scale) {
  OptimizerStep result{optimizer, b.load(rate, {}), b.load(scale, {}), {}, emitRoundingSeed(b, table, step)};
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
  b.store(emitRounded(b, step, updated[0], param, at), param, at);
  for (auto [state, value] : llvm::zip(states, ArrayRef<Value>(updated).drop_front()))
    b.store(value, state, at);
}
