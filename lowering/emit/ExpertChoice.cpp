//===- ExpertChoice.cpp - which tokens an expert takes -------------------===//

#include "ExpertChoice.h"

#include "Capacity.h"
#include "RoutingBuilder.h"

using namespace mlir;
using namespace peer;
using arith::CmpIPredicate;

Value peer::emitTokensPerExpert(LoopBuilder &b, SelectOp op) {
  Attribute policy = op.getPolicy();
  double factor = cast<ExpertChoicePolicyAttr>(policy).getFactor().getValueAsDouble();
  return emitShare(b, b.dim(op.getLogits(), 0), factor, op.getNumKeys());
}

Value peer::emitOrderedBits(LoopBuilder &b, Value score) {
  Type type = score.getType();
  // What is added makes both zeros one.
  Value sum = b.add(emitScore(b, score), b.f32(0, type));
  Type integers = b.getI32Type();
  if (auto vector = dyn_cast<VectorType>(type))
    integers = VectorType::get(vector.getShape(), integers);
  Value bits = arith::BitcastOp::create(b, integers, sum);
  Value negative = b.cmp(CmpIPredicate::slt, bits, b.splat(b.i32(0), type));
  auto flip = [&](int64_t mask) -> Value { return arith::XOrIOp::create(b, bits, b.splat(b.i32(mask), type)); };
  return b.select(negative, flip(-1), flip(std::numeric_limits<int32_t>::min()));
}

Value peer::emitLastTaken(LoopBuilder &b, Value most, Type like, llvm::function_ref<Value(Value)> countFrom) {
  constexpr int64_t kBits = 32;
  Value none = b.splat(b.i32(0), like);
  return b.loop(b.index(0), b.index(kBits), {none}, [&](Value i, ValueRange found) {
    Value bit = arith::ShLIOp::create(b, b.i32(1), b.sub(b.i32(kBits - 1), b.toI32(i)));
    Value raised = arith::OrIOp::create(b, found[0], b.splat(bit, like));
    Value enough = b.cmp(CmpIPredicate::sge, countFrom(raised), b.splat(most, like));
    return Values{b.select(enough, raised, found[0])};
  })[0];
}
