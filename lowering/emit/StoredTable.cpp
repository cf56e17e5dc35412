//===- StoredTable.cpp - vectors of tables, as they are stored ------------===//

#include "StoredTable.h"

using namespace mlir;
using namespace peer;
using arith::CmpIPredicate;

static constexpr int64_t kHalf = kStoredBlock / 2;

static SmallVector<Value> with(ValueRange vector, Value last) {
  SmallVector<Value> all(vector);
  all.push_back(last);
  return all;
}

static Value timesScale(LoopBuilder &b, Value elements, Value scale) {
  return b.mul(elements, b.splat(scale, elements.getType()));
}

Value StoredTable::byteOf(LoopBuilder &b, Value at) const {
  if (!packed)
    return at;
  return b.add(b.mul(b.div(at, b.index(kStoredBlock)), b.index(kHalf)), b.rem(at, b.index(kHalf)));
}

Value StoredTable::isUpper(LoopBuilder &b, Value at) const {
  return b.cmp(CmpIPredicate::uge, b.rem(at, b.index(kStoredBlock)), b.index(kHalf));
}

Value StoredTable::shiftOf(LoopBuilder &b, Value at) const { return b.select(isUpper(b, at), b.i32(24), b.i32(28)); }

/// Two elements a byte: those of one half, which the shifts bring down with their sign.
static Value loadNibbles(LoopBuilder &b, const StoredTable &table, ValueRange at, Value shift, int64_t lanes) {
  auto type = [&](Type element) { return lanes == 1 ? element : Type(VectorType::get({lanes}, element)); };
  Value bytes = lanes == 1 ? Value(memref::LoadOp::create(b, table.table, at))
                           : vector::LoadOp::create(b, cast<VectorType>(type(b.getI8Type())), table.table, at);
  Value word = arith::ExtSIOp::create(b, type(b.getI32Type()), bytes);
  word = arith::ShLIOp::create(b, word, b.splat(shift, word.getType()));
  word = arith::ShRSIOp::create(b, word, b.splat(b.i32(28), word.getType()));
  return arith::SIToFPOp::create(b, b.floats(lanes), word);
}

Value StoredTable::load(LoopBuilder &b, ValueRange vector, Value at, int64_t lanes) const {
  SmallVector<Value> position = with(vector, byteOf(b, at));
  Value elements = packed ? loadNibbles(b, *this, position, shiftOf(b, at), lanes) : b.load(table, position, lanes);
  if (!isGrouped)
    return elements;
  return timesScale(b, elements, b.load(scales, with(vector, b.div(at, b.index(elementsOfGroup())))));
}

Value StoredTable::loadScaled(LoopBuilder &b, ValueRange vector, Value at, int64_t lanes) const {
  Value elements = load(b, vector, at, lanes);
  return hasVectorScales() ? timesScale(b, elements, scaleOf(b, vector)) : elements;
}
