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

/// The part of C2 on keys and values, whose width is E.
static LogicalResult checkKeyHeads(Check &check, int64_t heads) {
  int64_t head = check['D'] / heads, width = check['E'];
  return check.require(2, width >= head && width % head == 0 && heads % (width / head) == 0,
                       "expected key and value to have a number of heads of width " + Twine(head) +
                           " that divides the query's " + Twine(heads) + ", got a width of " + Twine(width));
}

static LogicalResult checkWindow(Check &check, int c, std::optional<int64_t> window, int64_t most, StringRef what) {
  return check.require(c, !window || (*window >= 1 && *window <= most),
                       "expected a window of at least 1 and at most the " + what + " " + Twine(most) + ", got " +
                           Twine(window.value_or(0)));
}

/// One step of s is a sequence, one of h a head of the keys with the heads of the query that it serves: as many columns as
/// `x` has of it.
template <typename Op>
static std::string sequenceNotation(Op op, Value x) {
  int64_t keyHeads = dimOf(op.getKey(), 1) / (dimOf(op.getQuery(), 1) / int64_t(op.getHeads()));
  return "s*" + std::to_string(op.getContextLength()) + " h*" + std::to_string(dimOf(x, 1) / keyHeads);
}

/// Of each pair of a query and a key that it may see, `each`; all pairs of a sequence count, as a mask has them.
template <typename Op>
static int64_t countFlops(Op op, int64_t each) {
  int64_t context = op.getContextLength(), seen = op.getWindow().value_or(context);
  int64_t head = dimOf(op.getQuery(), 1) / int64_t(op.getHeads()),
          group = int64_t(op.getHeads()) * head / dimOf(op.getKey(), 1);
  return productOf({each, context, seen, head, group});
}

PEER_INFER(RotaryOp) {
  Check check(loc, "rotary");
  if (failed(check.shape(1, "x", a.getX(), "T D", Elements::F32)) || failed(checkHeads(check, a.getHeads(), true)) ||
      failed(check.context(3, a.getContextLength())) || failed(checkBase(check, 4, a.getBase())))
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
      failed(check.shape(1, "key", a.getKey(), "T E", Elements::F32)) ||
      failed(check.shape(1, "value", a.getValue(), "T E", Elements::F32)))
    return failure();
  if (failed(checkHeads(check, a.getHeads(), false)) || failed(checkKeyHeads(check, a.getHeads())) ||
      failed(check.context(3, a.getContextLength())))
    return failure();
  return checkWindow(check, 4, a.getWindow(), a.getContextLength(), "context");
}

PEER_INFER(AttentionOp) {
  Check check(loc, "attention");
  if (failed(checkAttention(check, a)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", Float32Type::get(context))}, types);
}

std::string AttentionOp::getIndexNotation() {
  std::string query = sequenceNotation(*this, getQuery()), key = sequenceNotation(*this, getKey());
  return query + ", " + key + ", " + key + " -> " + query;
}

int64_t AttentionOp::getFlopsPerIteration() { return countFlops(*this, 4); }

SmallVector<std::pair<StringRef, RankedTensorType>> AttentionOp::getCaches() {
  auto type = RankedTensorType::get({int64_t(getContextLength()), dimOf(getKey(), 1)}, Float32Type::get(getContext()));
  return {{"key", type}, {"value", type}};
}

Operation *AttentionOp::buildDecoding(OpBuilder &builder, ValueRange operands, Value position, ValueRange caches) {
  return CachedAttentionOp::create(builder, getLoc(), operands[0], operands[1], operands[2], caches[0], caches[1],
                                   position, getHeadsAttr(), getWindowAttr(), ValueRange());
}

PEER_INFER(AttentionGradOp) {
  Check check(loc, "attention_grad");
  if (failed(checkAttention(check, a)) || failed(check.shape(1, "dy", a.getDy(), "T D", Elements::F32)))
    return failure();
  Type f32 = Float32Type::get(context);
  auto keys = check.tensor("T E", f32);
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", f32), keys, keys}, types);
}

std::string AttentionGradOp::getIndexNotation() {
  std::string query = sequenceNotation(*this, getQuery()), key = sequenceNotation(*this, getKey());
  return query + ", " + key + ", " + key + ", " + query + " -> " + query + ", " + key + ", " + key;
}

int64_t AttentionGradOp::getFlopsPerIteration() { return countFlops(*this, 10); }

PEER_INFER(CachedAttentionOp) {
  Check check(loc, "cached_attention");
  if (failed(check.shape(1, "query", a.getQuery(), "T D", Elements::F32)) ||
      failed(check.shape(1, "key", a.getKey(), "T E", Elements::F32)) ||
      failed(check.shape(1, "value", a.getValue(), "T E", Elements::F32)) ||
      failed(check.shape(1, "key_cache", a.getKeyCache(), "C E", Elements::F32)) ||
      failed(check.shape(1, "value_cache", a.getValueCache(), "C E", Elements::F32)) ||
      failed(check.shape(1, "position", a.getPosition(), "", Elements::I32)) ||
      failed(check.require(1, check['C'] >= 1, "expected caches of at least 1 row")) ||
      failed(checkHeads(check, a.getHeads(), false)) || failed(checkKeyHeads(check, a.getHeads())) ||
      failed(checkWindow(check, 3, a.getWindow(), check['C'], "caches'")))
    return failure();
  Type f32 = Float32Type::get(context);
  auto cache = check.tensor("C E", f32);
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", f32), cache, cache}, types,
                         /*tied=*/2);
}

std::string CachedAttentionOp::getIndexNotation() { return "T ., T ., T ., . ., . ., -> T ., . ., . ."; }
