//===- Rotary.cpp - rotary positions -------------------------------------===//
//
// The angle of a late position in f32 would be off by its own rounding (5e-4 at position 8192), so positions are
// turned into fractions of a full turn in f64, and only what is left of whole turns is narrowed to f32.
//
//===----------------------------------------------------------------------===//

#include "Emit.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace peer;
using namespace peer::nn;

/// Sine and cosine of `turn` full turns, |turn| <= 1/2. The nearest quarter is taken off exactly; the minimax
/// polynomials on [-pi/4, pi/4] are those of the Cephes library, good to 1e-7.
static std::pair<Value, Value> emitSineCosine(LoopBuilder &b, Value turn) {
  Type type = turn.getType();
  auto constant = [&](double value) { return b.f32(value, type); };
  auto integer = [&](int64_t value) { return b.splat(b.i32(value), type); };
  Value quarters = b.mul(turn, constant(4));
  Value nearest = math::FloorOp::create(b, b.add(quarters, constant(0.5)));
  Value angle = b.mul(b.sub(quarters, nearest), constant(std::numbers::pi / 2));
  Value square = b.mul(angle, angle);

  Value s = b.fma(square, constant(-1.9515295891e-4), constant(8.3321608736e-3));
  s = b.fma(square, s, constant(-1.6666654611e-1));
  Value sine = b.fma(b.mul(square, angle), s, angle);
  Value c = b.fma(square, constant(2.443315711809948e-5), constant(-1.388731625493765e-3));
  c = b.fma(square, c, constant(4.166664568298827e-2));
  Value cosine = b.fma(b.mul(square, square), c, b.fma(square, constant(-0.5), constant(1)));

  // Quarter q of the circle: odd ones swap the two, q = 2, 3 negate the sine and q = 1, 2 the cosine.
  Value quarter = arith::FPToSIOp::create(b, integer(0).getType(), nearest);
  auto bit = [&](Value v, int64_t mask) {
    return b.cmp(arith::CmpIPredicate::ne, arith::AndIOp::create(b, v, integer(mask)), integer(0));
  };
  Value odd = bit(quarter, 1);
  Value first = b.select(odd, cosine, sine), second = b.select(odd, sine, cosine);
  return {b.select(bit(quarter, 2), b.neg(first), first),
          b.select(bit(b.add(quarter, integer(1)), 2), b.neg(second), second)};
}

Value nn::emitPosition(LoopBuilder &b, Value position) {
  return arith::SIToFPOp::create(b, b.getF64Type(), arith::IndexCastOp::create(b, b.getI64Type(), position));
}

std::pair<Value, Value> nn::emitRotation(LoopBuilder &b, Value perPosition, Value position) {
  Type wide = perPosition.getType();
  Value total = b.mul(perPosition, b.splat(position, wide));
  auto halfAttr = b.getF64FloatAttr(0.5);
  Value halfTurn = b.splat(arith::ConstantOp::create(b, halfAttr), wide);
  Value whole = math::FloorOp::create(b, b.add(total, halfTurn));
  auto vector = dyn_cast<VectorType>(wide);
  Type narrow = b.floats(vector ? vector.getNumElements() : 1);
  return emitSineCosine(b, arith::TruncFOp::create(b, narrow, b.sub(total, whole)));
}

namespace {

/// Turns heads of width 2 * half. Sine and cosine of one position serve all heads and all sequences.
class Rotation {
public:
  Rotation(LoopBuilder &b, Value x, int64_t heads, double base, int64_t width)
      : b(b), heads(heads), half(b.staticDim(x, 1) / heads / 2), width(width), turns(b.stack({half}, b.getF64Type())),
        sines(b.stack({half}, b.getF32Type())), cosines(b.stack({half}, b.getF32Type())) {
    storeTurns(base);
  }

  /// Makes `position` (an index) the one that `rotate` turns to.
  void moveTo(Value position, bool inverse);
  /// y[row] = x[row] turned.
  void rotate(Value x, Value y, Value row);

private:
  void storeTurns(double base);

  LoopBuilder &b;
  int64_t heads, half, width;
  Value turns, sines, cosines;
};

/// Turns per position of each component: base^(-c / half) / (2 pi).
void Rotation::storeTurns(double base) {
  SmallVector<double> values;
  for (int64_t c = 0; c < half; ++c)
    values.push_back(std::pow(base, -double(c) / half) / (2 * std::numbers::pi));
  if (width > 1 && half > 1) {
    auto type = VectorType::get({half}, b.getF64Type());
    b.store(arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef<double>(values))), turns, b.index(0));
    return;
  }
  for (auto [c, value] : llvm::enumerate(values))
    b.store(arith::ConstantOp::create(b, b.getF64FloatAttr(value)), turns, b.index(c));
}

void Rotation::moveTo(Value position, bool inverse) {
  Value scalar = nn::emitPosition(b, position);
  b.strips(b.index(half), width, [&](Value at, int64_t lanes) {
    Value perPosition = lanes == 1
                            ? Value(memref::LoadOp::create(b, turns, at))
                            : Value(vector::LoadOp::create(b, VectorType::get({lanes}, b.getF64Type()), turns, at));
    auto [sine, cosine] = nn::emitRotation(b, perPosition, scalar);
    b.store(inverse ? b.neg(sine) : sine, sines, at);
    b.store(cosine, cosines, at);
  });
}

void Rotation::rotate(Value x, Value y, Value row) {
  b.loop(heads, [&](Value head) {
    Value left = b.mul(head, b.index(2 * half)), right = b.add(left, b.index(half));
    b.strips(b.index(half), width, [&](Value at, int64_t lanes) {
      Value atLeft = b.add(left, at), atRight = b.add(right, at);
      Value u = b.load(x, {row, atLeft}, lanes), v = b.load(x, {row, atRight}, lanes);
      Value sine = b.load(sines, at, lanes), cosine = b.load(cosines, at, lanes);
      b.store(b.sub(b.mul(u, cosine), b.mul(v, sine)), y, {row, atLeft});
      b.store(b.fma(u, sine, b.mul(v, cosine)), y, {row, atRight});
    });
  });
}

} // namespace

static void emit(LoopBuilder &b, RotaryOp op, int64_t width) {
  Value x = op.getX(), y = op.getY();
  Rotation rotation(b, x, op.getHeads(), op.getBase().convertToFloat(), width);
  // A tile holds whole sequences.
  Value context = b.index(op.getContextLength());
  Value sequences = b.div(b.dim(x, 0), context);
  b.loop(context, [&](Value position) {
    rotation.moveTo(position, op.getInverse());
    b.loop(sequences, [&](Value sequence) { rotation.rotate(x, y, b.add(b.mul(sequence, context), position)); });
  });
}

static void emit(LoopBuilder &b, RotaryAtOp op, int64_t width) {
  Value x = op.getX(), y = op.getY();
  Rotation rotation(b, x, op.getHeads(), op.getBase().convertToFloat(), width);
  Value start = b.toIndex(b.load(op.getPosition(), {}));
  b.loop(b.dim(x, 0), [&](Value t) {
    rotation.moveTo(b.add(start, t), /*inverse=*/false);
    rotation.rotate(x, y, t);
  });
}

void nn::addRotary(LoopEmitters &emitters) {
  emitters.everyWidth<RotaryOp>({.emit = emit, .tileSizes = [](RotaryOp) { return tile({{"s", 1}}); }});
  emitters.everyWidth<RotaryAtOp>({.emit = emit});
}
