//===- Rounding.cpp - what is kept in bf16 -------------------------------===//

#include "Rounding.h"

using namespace mlir;
using namespace peer;
using arith::CmpIPredicate;

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

Value peer::emitSeed(LoopBuilder &b, Value step) {
  return emitHash(b, arith::BitcastOp::create(b, b.getI32Type(), b.load(step, {})));
}

static bool isBF16(Value table) { return cast<MemRefType>(table.getType()).getElementType().isBF16(); }

namespace {
/// Rounds values that go to the same elements of several tables.
class Rounding {
public:
  Rounding(LoopBuilder &b, Value seed, Value table, ValueRange at, Type type)
      : b(b), seed(seed), vector(dyn_cast<VectorType>(type)), i32(like(b.getI32Type())) {
    if (!seed)
      return;
    number = b.splat(emitNumber(b, table, at), i32);
    if (!vector)
      return;
    auto lanes = llvm::to_vector(llvm::seq<int32_t>(0, vector.getNumElements()));
    number =
        b.add(number, arith::ConstantOp::create(b, DenseElementsAttr::get(cast<VectorType>(i32), ArrayRef(lanes))));
  }

  Value emit(Value updated) {
    Value bits = arith::BitcastOp::create(b, i32, updated), sixteen = constant(16);
    Value size = both(b, bits, constant(0x7fffffff));
    if (!seed) {
      // The largest numbers would become infinite; what is infinite or no number stays so.
      Value isLast = b.cmp(CmpIPredicate::ult, b.sub(size, constant(kLargest)), constant(1 << 16));
      bits = b.select(isLast, both(b, bits, constant(0xffff0000)), bits);
      return arith::BitcastOp::create(b, updated.getType(), bits);
    }
    // Nothing is added to what has nothing above it but infinity, nor to what is no number: it could become one.
    Value chance = b.select(b.cmp(CmpIPredicate::ult, size, constant(kLargest)), emitChance(), constant(0));
    Value high = arith::ShRUIOp::create(b, b.add(bits, chance), sixteen);
    return arith::BitcastOp::create(b, like(b.getBF16Type()), arith::TruncIOp::create(b, like(b.getI16Type()), high));
  }

private:
  static constexpr uint32_t kLargest = 0x7f7f0000; // finite bf16, as an f32
  /// Its highest bit keeps what is made of it apart from the numbers of all elements that a table has.
  static constexpr uint32_t kOther = 0x9e3779b9;

  Type like(Type element) { return vector ? vector.clone(element) : element; }
  Value constant(uint32_t bits) { return constantLike(b, i32, bits); }

  /// Sixteen bits: a hash is enough for two tables.
  Value emitChance() {
    if (taken++ % 2 == 1)
      return both(b, hash, constant(0xffff));
    Value mixed = arith::XOrIOp::create(b, number, b.splat(seed, i32));
    if (taken > 1)
      mixed = arith::XOrIOp::create(b, mixed, constant(kOther));
    hash = emitHash(b, mixed);
    return arith::ShRUIOp::create(b, hash, constant(16));
  }

  LoopBuilder &b;
  Value seed;
  VectorType vector;
  Type i32;
  Value number, hash;
  unsigned taken = 0;
};
} // namespace

Values peer::emitRounded(LoopBuilder &b, Value seed, ValueRange updated, ValueRange tables, ValueRange at) {
  Values rounded(updated);
  if (llvm::none_of(tables, isBF16))
    return rounded;
  Rounding rounding(b, seed, tables.front(), at, updated.front().getType());
  for (auto [value, table] : llvm::zip_equal(rounded, tables))
    if (isBF16(table))
      value = rounding.emit(value);
  return rounded;
}
