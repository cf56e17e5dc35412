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

/// The number of table[at...].
static Value emitNumber(LoopBuilder &b, Value table, ValueRange at) {
  Value number = b.index(0);
  for (auto [i, position] : llvm::enumerate(at))
    number = b.add(b.mul(number, b.dim(table, i)), position);
  return number;
}

Value peer::emitSeed(LoopBuilder &b, Value step) {
  return emitHash(b, arith::BitcastOp::create(b, b.getI32Type(), b.load(step, {})));
}

static bool isBF16(Value table) { return cast<MemRefType>(table.getType()).getElementType().isBF16(); }

namespace {
/// Rounds values that go to the same elements of several tables.
class Rounding {
public:
  /// `run`: elements after which accesses, which begin at multiples of their lanes, begin anew.
  Rounding(LoopBuilder &b, Value seed, Value table, ValueRange at, Type type, int64_t run)
      : b(b), vector(dyn_cast<VectorType>(type)), i32(like(b.getI32Type())) {
    if (!seed)
      return;
    Value number = emitNumber(b, table, at), ofBlock = b.index(kBlock);
    int64_t lanes = vector ? vector.getNumElements() : 1;
    place = b.splat(b.toI32(b.rem(number, ofBlock)), i32);
    if (lanes > 1) {
      auto each = llvm::to_vector(llvm::seq<int32_t>(0, int32_t(lanes)));
      place = b.add(place, arith::ConstantOp::create(b, DenseElementsAttr::get(cast<VectorType>(i32), ArrayRef(each))));
    }
    block = b.toI32(b.div(number, ofBlock));
    if (kBlock % lanes != 0 || run % lanes != 0) {
      block = b.add(b.splat(block, i32), arith::ShRUIOp::create(b, place, constant(kBlockBits)));
      place = both(b, place, constant(kBlock - 1));
      seed = b.splat(seed, i32);
    }
    block = arith::XOrIOp::create(b, block, seed);
  }

  Value emit(Value updated) {
    Value bits = arith::BitcastOp::create(b, i32, updated), size = both(b, bits, constant(0x7fffffff));
    if (!block) {
      // The largest numbers would become infinite; what is infinite or no number stays so.
      Value isLast = b.cmp(CmpIPredicate::ult, b.sub(size, constant(kLargest)), constant(1 << 16));
      bits = b.select(isLast, both(b, bits, constant(0xffff0000)), bits);
      return arith::BitcastOp::create(b, updated.getType(), bits);
    }
    // Nothing is added to what has nothing above it but infinity, nor to what is no number: it could become one.
    Value chance = b.select(b.cmp(CmpIPredicate::ult, size, constant(kLargest)), emitChance(), constant(0));
    Value high = arith::ShRUIOp::create(b, b.add(bits, chance), constant(16));
    return arith::BitcastOp::create(b, like(b.getBF16Type()), arith::TruncIOp::create(b, like(b.getI16Type()), high));
  }

private:
  static constexpr uint32_t kLargest = 0x7f7f0000; // finite bf16, as an f32
  static constexpr int64_t kBlockBits = 4, kBlock = 1 << kBlockBits;
  /// Its highest bit keeps what is made of it apart from the numbers of all blocks that a table has.
  static constexpr uint32_t kOther = 0x9e3779b9;

  Type like(Type element) { return vector ? vector.clone(element) : element; }
  Value constant(uint32_t bits) { return constantLike(b, i32, bits); }

  /// Sixteen bits: a hash is enough for two tables, and for all elements of a block. Their places are laid over its highest bits: each
  /// element's bits are as good as the hash's, and in a block there is one chance in each sixteenth of all, so that what rounding
  /// adds to the block varies less than if they were drawn one by one.
  Value emitChance() {
    if (taken % 2 == 0) {
      Value mixed = taken == 0 ? block : arith::XOrIOp::create(b, block, constantLike(b, block.getType(), kOther));
      hash = emitHash(b, mixed);
      // The vector lies in one block.
      if (hash.getType() != i32)
        hash = b.splat(hash, i32);
    }
    Value sixteen = constant(16),
          half = taken++ % 2 == 0 ? arith::ShRUIOp::create(b, hash, sixteen) : both(b, hash, constant(0xffff));
    return arith::XOrIOp::create(b, half, arith::ShLIOp::create(b, place, constant(16 - kBlockBits)));
  }

  LoopBuilder &b;
  VectorType vector;
  Type i32;
  Value block, place, hash; // null blocks: to the nearest
  unsigned taken = 0;
};
} // namespace

Values peer::emitRounded(LoopBuilder &b, Value seed, ValueRange updated, ValueRange tables, ValueRange at,
                         int64_t run) {
  Values rounded(updated);
  if (llvm::none_of(tables, isBF16))
    return rounded;
  ArrayRef<int64_t> shape = cast<MemRefType>(tables.front().getType()).getShape();
  if (run == 0)
    run = shape.empty() ? 1 : shape.back();
  Rounding rounding(b, seed, tables.front(), at, updated.front().getType(), run);
  for (auto [value, table] : llvm::zip_equal(rounded, tables))
    if (isBF16(table))
      value = rounding.emit(value);
  return rounded;
}
