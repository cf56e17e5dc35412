//===- FP8.cpp - floating-point numbers of a byte -------------------------===//

#include "FP8.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace peer;
using arith::CmpIPredicate;

/// Bits of f32 where those of an f8E4M3FN begin, and what its exponents are short of.
static constexpr int64_t kMantissa = 23 - 3, kBias = 127 - 7;

// Integers, as not every CPU converts halves, and no numbers below the smallest normal f32 on the way: CPUs are slow at them, and some flush them.
Value peer::widenFP8(LoopBuilder &b, Value number) {
  auto like = [&](Type element) {
    auto vector = dyn_cast<VectorType>(number.getType());
    return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
  };
  Type words = like(b.getI32Type()), floats = like(b.getF32Type());
  auto constant = [&](int64_t value) { return b.splat(b.i32(value), words); };
  auto asFloat = [&](Value bits) -> Value { return arith::BitcastOp::create(b, floats, bits); };
  if (!getElementTypeOrSelf(number.getType()).isInteger(8))
    number = arith::BitcastOp::create(b, like(b.getI8Type()), number);
  Value word = arith::ExtUIOp::create(b, words, number);
  Value magnitude = arith::AndIOp::create(b, word, constant(0x7f));
  Value bits = arith::ShLIOp::create(b, magnitude, constant(kMantissa));
  Value normal = asFloat(b.add(bits, constant(kBias << 23)));
  // Without an exponent there is no 1 before the point: it is added, with the smallest exponent, and taken away.
  Value small = b.sub(asFloat(b.add(bits, constant((kBias + 1) << 23))), b.f32(0x1p-6, floats));
  Value value = b.select(b.cmp(CmpIPredicate::ult, magnitude, constant(8)), small, normal);
  value = b.select(b.cmp(CmpIPredicate::eq, magnitude, constant(0x7f)), asFloat(constant(0x7fc00000)), value);
  Value sign = arith::ShLIOp::create(b, arith::AndIOp::create(b, word, constant(0x80)), constant(24));
  return asFloat(arith::OrIOp::create(b, arith::BitcastOp::create(b, words, value), sign));
}
