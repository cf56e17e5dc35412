//===- Attention.cpp - constraints of rotary positions and attention -----===//

#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;

/// C2 of all ops here: an empty head would make sizes that loops divide by zero.
static LogicalResult checkHeads(Check &check, int64_t heads, bool even) {
  int64_t width = check['D'];
  if (failed(check.require(2, heads >= 1 && width >= heads && width % heads == 0,
                           "expected heads to divide the width " + Twine(width) + ", got " + Twine(heads))))
    return failure();
  return check.require(2, !even || width / heads % 2 == 0,
                       "expected an even width per head, got " + Twine(width / heads));
}

/// Smaller bases turn faster than a position per radian, and from 0 down their powers are not finite.
static LogicalResult checkBase(Check &check, int c, const APFloat &base) {
  SmallString<16> got;
  base.toString(got);
  return check.require(c, base.isFinite() && base.convertToDouble() >= 1,
                       "expected a finite base of at least 1, got " + got);
}

/// C3 of ops that work sequence by sequence.
static LogicalResult checkContext(Check &check, int64_t context) {
  int64_t tokens = check['T'];
  if (failed(check.require(3, context >= 1, "expected a context of at least 1, got " + Twine(context))))
    return failure();
  return check.require(3, ShapedType::isDynamic(tokens) || tokens % context == 0,
                       "expected T to be a multiple of the context " + Twine(context) + ", got " + Twine(tokens));
}

/// One step of s is a sequence, one of h a head.
static std::string sequenceNotation(Value x, int64_t context, int64_t heads) {
  return "s*" + std::to_string(context) + " h*" + std::to_string(dimOf(x, 1) / heads);
}

PEER_INFER(RotaryOp) {
  Check check(loc, "rotary");
  if (failed(check.shape(1, "x", a.getX(), "T D", Elements::F32)) || failed(checkHeads(check, a.getHeads(), true)) ||
      failed(checkContext(check, a.getContextLength())) || failed(checkBase(check, 4, a.getBase())))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", Float32Type::get(context))}, types);
}

// Tiled by sequences alone: a tile of heads would need its first head's number for nothing gained.
std::string RotaryOp::getIndexNotation() {
  std::string rows = "s*" + std::to_string(getContextLength()) + " .";
  return rows + " -> " + rows;
}

std::string RotaryOp::rejectDecoding() { return getInverse() ? "turns positions back" : ""; }

Operation *RotaryOp::buildDecoding(OpBuilder &builder, ValueRange operands, Value position, ValueRange) {
  return RotaryAtOp::create(builder, getLoc(), operands[0], position, getHeadsAttr(), getBaseAttr(), ValueRange());
}

PEER_INFER(RotaryAtOp) {
  Check check(loc, "rotary_at");
  if (failed(check.shape(1, "x", a.getX(), "T D", Elements::F32)) ||
      failed(check.shape(1, "position", a.getPosition(), "", Elements::I32)) ||
      failed(checkHeads(check, a.getHeads(), true)) || failed(checkBase(check, 3, a.getBase())))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", Float32Type::get(context))}, types);
}

std::string RotaryAtOp::getIndexNotation() { return "T ., -> T ."; }

template <typename Adaptor>
static LogicalResult checkAttention(Check &check, Adaptor a) {
  if (failed(check.shape(1, "query", a.getQuery(), "T D", Elements::F32)) ||
      failed(check.shape(1, "key", a.getKey(), "T D", Elements::F32)) ||
      failed(check.shape(1, "value", a.getValue(), "T D", Elements::F32)))
    return failure();
  if (failed(checkHeads(check, a.getHeads(), false)))
    return failure();
  return checkContext(check, a.getContextLength());
}

PEER_INFER(AttentionOp) {
  Check check(loc, "attention");
  if (failed(checkAttention(check, a)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", Float32Type::get(context))}, types);
}

std::string AttentionOp::getIndexNotation() {
  std::string part = sequenceNotation(getQuery(), getContextLength(), getHeads());
  return part + ", " + part + ", " + part + " -> " + part;
}

int64_t AttentionOp::getFlopsPerIteration() {
  int64_t context = getContextLength(), width = dimOf(getQuery(), 1) / getHeads();
  return productOf({4, context, context, width});
}

SmallVector<std::pair<StringRef, RankedTensorType>> AttentionOp::getCaches() {
  auto type = RankedTensorType::get({int64_t(getContextLength()), dimOf(getKey(), 1)}, Float32Type::get(getContext()));
  return {{"key", type}, {"value", type}};
}

Operation *AttentionOp::buildDecoding(OpBuilder &builder, ValueRange operands, Value position, ValueRange caches) {
  return CachedAttentionOp::create(builder, getLoc(), operands[0], operands[1], operands[2], caches[0], caches[1],
                                   position, getHeadsAttr(), ValueRange());
}

PEER_INFER(AttentionGradOp) {
  Check check(loc, "attention_grad");
  if (failed(checkAttention(check, a)) || failed(check.shape(1, "dy", a.getDy(), "T D", Elements::F32)))
    return failure();
  auto type = check.tensor("T D", Float32Type::get(context));
  return finishInference(check, a.getOperands(), a.getOuts(), {type, type, type}, types);
}

std::string AttentionGradOp::getIndexNotation() {
  std::string part = sequenceNotation(getQuery(), getContextLength(), getHeads());
  return part + ", " + part + ", " + part + ", " + part + " -> " + part + ", " + part + ", " + part;
}

int64_t AttentionGradOp::getFlopsPerIteration() {
  int64_t context = getContextLength(), width = dimOf(getQuery(), 1) / getHeads();
  return productOf({10, context, context, width});
}

PEER_INFER(CachedAttentionOp) {
  Check check(loc, "cached_attention");
  if (failed(check.shape(1, "query", a.getQuery(), "T D", Elements::F32)) ||
      failed(check.shape(1, "key", a.getKey(), "T D", Elements::F32)) ||
      failed(check.shape(1, "value", a.getValue(), "T D", Elements::F32)) ||
      failed(check.shape(1, "key_cache", a.getKeyCache(), "C D", Elements::F32)) ||
      failed(check.shape(1, "value_cache", a.getValueCache(), "C D", Elements::F32)) ||
      failed(check.shape(1, "position", a.getPosition(), "", Elements::I32)) ||
      failed(check.require(1, check['C'] >= 1, "expected caches of at least 1 row")) ||
      failed(checkHeads(check, a.getHeads(), false)))
    return failure();
  Type f32 = Float32Type::get(context);
  auto cache = check.tensor("C D", f32);
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", f32), cache, cache}, types,
                         /*tied=*/2);
}

std::string CachedAttentionOp::getIndexNotation() { return "T ., T ., T ., . ., . ., -> T ., . ., . ."; }
