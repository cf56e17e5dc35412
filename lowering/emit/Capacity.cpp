//===- Capacity.cpp - how many selections an expert keeps ----------------===//

#include "Capacity.h"

#include "RoutingBuilder.h"

using namespace mlir;
using namespace peer;

Value peer::emitShare(LoopBuilder &b, Value tokens, double factor, int64_t experts) {
  Type f64 = b.getF64Type(), i64 = b.getI64Type();
  auto number = [&](double value) -> Value { return arith::ConstantOp::create(b, b.getF64FloatAttr(value)); };
  Value count = arith::SIToFPOp::create(b, f64, arith::IndexCastOp::create(b, i64, tokens).getResult());
  Value exact = b.div(b.mul(number(factor), count), number(double(experts)));
  exact = b.min(exact, number(std::numeric_limits<int32_t>::max()));
  // What was cut off makes one more.
  Value whole = arith::FPToSIOp::create(b, i64, exact), back = arith::SIToFPOp::create(b, f64, whole);
  Value more = arith::ExtUIOp::create(b, i64, b.cmp(arith::CmpFPredicate::OLT, back, exact));
  return arith::IndexCastOp::create(b, b.getIndexType(), arith::AddIOp::create(b, whole, more).getResult());
}

Value peer::emitCapacity(LoopBuilder &b, CapacityOp op) {
  Value share = emitShare(b, b.dim(op.getIdx(), 0), op.getFactor().convertToDouble(), op.getExperts());
  return b.max(share, b.index(op.getLeast()));
}

SmallVector<Value> peer::emitPairPlace(LoopBuilder &b, Value pair, Value heads, Value ranks) {
  Value row = b.div(pair, ranks);
  return {b.div(row, heads), b.rem(row, heads), b.rem(pair, ranks)};
}

Value peer::emitPrecedes(LoopBuilder &b, Priority priority, const RankedPair &x, const RankedPair &y) {
  Value earlier = b.cmp(arith::CmpIPredicate::ult, x.pair, y.pair);
  if (priority == Priority::Token)
    return earlier;
  Value larger = b.cmp(arith::CmpFPredicate::OGT, x.weight, y.weight);
  Value equal = b.cmp(arith::CmpFPredicate::OEQ, x.weight, y.weight);
  Value byWeight = either(b, larger, both(b, equal, earlier));
  if (priority == Priority::Probability)
    return byWeight;
  return either(b, b.cmp(arith::CmpIPredicate::ult, x.rank, y.rank),
                both(b, b.cmp(arith::CmpIPredicate::eq, x.rank, y.rank), byWeight));
}

void peer::emitFill(LoopBuilder &b, Value buffer, Value size, int64_t value) {
  b.loop(size, [&](Value i) { b.store(b.i32(value), buffer, {i}); });
}

Value peer::emitIncrement(LoopBuilder &b, Value buffer, ValueRange at) {
  Value old = b.load(buffer, at);
  b.store(b.add(old, b.i32(1)), buffer, at);
  return old;
}
