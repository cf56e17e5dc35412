//===- NarrowFloats.cpp - arithmetic on bf16 and f16 ---------------------===//

#include "NarrowFloats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static bool isNarrow(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isBF16() || element.isF16();
}

static Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(element)) : element;
}

namespace {
/// Bits of f32 and f16, as scalars or vectors.
struct Bits : ImplicitLocOpBuilder {
  Bits(Operation *op, Type like) : ImplicitLocOpBuilder(op->getLoc(), op), like(like) {}

  Type ints(unsigned width) { return withElement(like, getIntegerType(width)); }
  Type floats() { return withElement(like, getF32Type()); }
  Value constant(TypedAttr value, Type type) {
    if (auto vector = dyn_cast<VectorType>(type))
      value = DenseElementsAttr::get(vector, value);
    return arith::ConstantOp::create(*this, value);
  }
  Value number(int64_t value) { return constant(getI32IntegerAttr(int32_t(value)), ints(32)); }
  Value asInts(Value v) { return arith::BitcastOp::create(*this, ints(32), v); }
  Value asFloats(Value v) { return arith::BitcastOp::create(*this, floats(), v); }
  Value both(Value a, int64_t mask) { return arith::AndIOp::create(*this, a, number(mask)); }
  Value either(Value a, Value b) { return arith::OrIOp::create(*this, a, b); }
  Value add(Value a, Value b) { return arith::AddIOp::create(*this, a, b); }
  Value left(Value a, int64_t by) { return arith::ShLIOp::create(*this, a, number(by)); }
  Value right(Value a, int64_t by) { return arith::ShRUIOp::create(*this, a, number(by)); }
  Value atLeast(Value a, int64_t b) { return arith::CmpIOp::create(*this, CmpIPredicate::uge, a, number(b)); }
  Value select(Value c, Value a, Value b) { return arith::SelectOp::create(*this, c, a, b); }

  Type like;
};
} // namespace

/// f16 to f32: exponents move from a bias of 15 to one of 127 by a product, which makes subnormal numbers normal.
static Value widen(Bits &b, Value half) {
  Value bits = arith::ExtUIOp::create(b, b.ints(32), arith::BitcastOp::create(b, b.ints(16), half));
  Value magnitude = b.left(b.both(bits, 0x7fff), 13), sign = b.left(b.both(bits, 0x8000), 16);
  Value scale = b.asFloats(b.number((127 + 112) << 23));
  Value finite = b.asInts(arith::MulFOp::create(b, b.asFloats(magnitude), scale));
  Value special = b.either(magnitude, b.number(0x7f800000));
  return b.asFloats(b.either(b.select(b.atLeast(magnitude, 31 << 23), special, finite), sign));
}

/// f32 to f16, to nearest, ties to even.
static Value narrow(Bits &b, Value value) {
  Value bits = b.asInts(value), magnitude = b.both(bits, 0x7fffffff);
  Value sign = b.right(b.both(bits, 0x80000000), 16);
  // Normal ones: the exponent's bias changes, and half of what is cut off is added, less a bit where that is even.
  Value odd = b.both(b.right(magnitude, 13), 1);
  Value normal = b.right(b.add(b.add(magnitude, b.number(((15 - 127) << 23) + 0xfff)), odd), 13);
  // Subnormal ones: the sum with a power of two rounds at the last bit that they have.
  constexpr int64_t kAlign = ((127 - 15) + (23 - 10) + 1) << 23;
  Value sum = arith::AddFOp::create(b, b.asFloats(magnitude), b.asFloats(b.number(kAlign)));
  Value small = b.add(b.asInts(sum), b.number(-kAlign));
  Value isNan = b.atLeast(magnitude, 0x7f800001);
  Value large = b.select(isNan, b.number(0x7e00), b.number(0x7c00));
  Value result = b.select(b.atLeast(magnitude, 113 << 23), normal, small);
  result = b.select(b.atLeast(magnitude, (127 + 16) << 23), large, result);
  Value half = arith::TruncIOp::create(b, b.ints(16), b.either(result, sign));
  return arith::BitcastOp::create(b, withElement(b.like, b.getF16Type()), half);
}

/// f64 to f32, inexact ones to the odd neighbour: what rounds that to fewer bits rounds as if it had seen the f64.
static Value roundToOdd(Bits &b, Value value) {
  Value near = arith::TruncFOp::create(b, b.floats(), value);
  Value back = arith::ExtFOp::create(b, value.getType(), near);
  auto magnitude = [&](Value v) -> Value { return math::AbsFOp::create(b, v); };
  Value beyond = arith::CmpFOp::create(b, CmpFPredicate::OGT, magnitude(back), magnitude(value));
  Value inexact = arith::CmpFOp::create(b, CmpFPredicate::UNE, back, value);
  Value bits = b.asInts(near);
  Value towards = b.add(bits, b.select(beyond, b.number(-1), b.number(0)));
  return b.asFloats(b.select(inexact, b.either(towards, b.number(1)), bits));
}

/// `value`, a float, as one of `type`, by conversions that are expanded here or between f32 and bf16 or f64.
static Value convert(OpBuilder &builder, Operation *op, Value value, Type type) {
  Bits b(op, type);
  b.setInsertionPoint(builder.getInsertionBlock(), builder.getInsertionPoint());
  Type from = getElementTypeOrSelf(value.getType()), to = getElementTypeOrSelf(type);
  if (from == to)
    return value;
  if (from.isF64() && isNarrow(to))
    value = roundToOdd(b, value);
  else if (from.isF16())
    value = widen(b, value);
  else if (from.isBF16())
    value = arith::ExtFOp::create(b, b.floats(), value);
  if (to.isF16())
    return narrow(b, value);
  if (to.isBF16())
    return arith::TruncFOp::create(b, type, value);
  return to.isF64() ? Value(arith::ExtFOp::create(b, type, value)) : value;
}

/// Whether an op computes, where others carry values from one place to another.
static bool computes(Operation *op) {
  if (isa<arith::ExtFOp, arith::TruncFOp>(op)) {
    auto isPlain = [](Type type) { return getElementTypeOrSelf(type).isBF16() || getElementTypeOrSelf(type).isF32(); };
    if (isPlain(op->getOperand(0).getType()) && isPlain(op->getResult(0).getType()))
      return false;
  }
  return isa_and_nonnull<arith::ArithDialect, math::MathDialect>(op->getDialect()) &&
         !isa<arith::ConstantOp, arith::SelectOp, arith::BitcastOp>(op) &&
         (llvm::any_of(op->getOperandTypes(), isNarrow) || llvm::any_of(op->getResultTypes(), isNarrow));
}

static void expand(Operation *op) {
  OpBuilder b(op);
  if (isa<arith::ExtFOp, arith::TruncFOp>(op)) {
    op->getResult(0).replaceAllUsesWith(convert(b, op, op->getOperand(0), op->getResult(0).getType()));
    return op->erase();
  }
  // Integers of 32 bits are f64 without a rounding.
  bool fromInteger = isa<arith::SIToFPOp, arith::UIToFPOp>(op);
  auto wide = [&](Type type) {
    return isNarrow(type) ? withElement(type, fromInteger ? Type(b.getF64Type()) : b.getF32Type()) : type;
  };
  for (OpOperand &operand : op->getOpOperands())
    operand.set(convert(b, op, operand.get(), wide(operand.get().getType())));
  b.setInsertionPointAfter(op);
  for (Value result : op->getResults()) {
    Type type = result.getType();
    if (!isNarrow(type))
      continue;
    result.setType(wide(type));
    Value rounded = convert(b, op, result, type);
    llvm::SmallPtrSet<Operation *, 16> conversion;
    for (Operation *last = rounded.getDefiningOp(); last != op; last = last->getPrevNode())
      conversion.insert(last);
    result.replaceAllUsesExcept(rounded, conversion);
  }
}

void peer::expandNarrowFloats(Operation *root) {
  SmallVector<Operation *> ops;
  root->walk([&](Operation *op) {
    if (computes(op))
      ops.push_back(op);
  });
  llvm::for_each(ops, expand);
}
