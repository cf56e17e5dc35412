//===- Capacity.cpp - how many selections an expert keeps ----------------===//

#include "Capacity.h"

using namespace mlir;
using namespace peer;

Value peer::emitCapacity(LoopBuilder &b, CapacityOp op) {
  Type f64 = b.getF64Type(), i64 = b.getI64Type();
  auto number = [&](double value) -> Value { return arith::ConstantOp::create(b, b.getF64FloatAttr(value)); };
  Value tokens = arith::SIToFPOp::create(b, f64, arith::IndexCastOp::create(b, i64, b.dim(op.getIdx(), 0)).getResult());
  Value exact = b.div(b.mul(number(op.getFactor().convertToDouble()), tokens), number(double(op.getExperts())));
  exact = b.min(exact, number(std::numeric_limits<int32_t>::max()));
  // What was cut off makes one more.
  Value whole = arith::FPToSIOp::create(b, i64, exact), back = arith::SIToFPOp::create(b, f64, whole);
  Value more = arith::ExtUIOp::create(b, i64, b.cmp(arith::CmpFPredicate::OLT, back, exact));
  Value capacity = arith::IndexCastOp::create(b, b.getIndexType(), arith::AddIOp::create(b, whole, more).getResult());
  return b.max(capacity, b.index(op.getLeast()));
}

SmallVector<Value> peer::emitPairPlace(LoopBuilder &b, Value pair, Value heads, Value ranks) {
  Value row = b.div(pair, ranks);
  return {b.div(row, heads), b.rem(row, heads), b.rem(pair, ranks)};
}
