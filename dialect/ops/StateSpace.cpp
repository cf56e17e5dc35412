//===- StateSpace.cpp - constraints of convolutions and scans ------------===//

#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;

/// One step of s is a sequence.
template <typename Op>
static std::string sequenceOf(Op op) {
  return "s*" + std::to_string(op.getContextLength());
}

/// Sequences in the T rows of a check: R.
static void bindSequences(Check &check, int64_t context) {
  int64_t tokens = check['T'];
  check.bind('R', ShapedType::isDynamic(tokens) ? tokens : tokens / context);
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

template <typename Adaptor>
static LogicalResult checkConv(Check &check, Adaptor a) {
  if (failed(check.shape(1, "x", a.getX(), "T D", Elements::F32)) ||
      failed(check.shape(1, "weight", a.getWeight(), "K D", Elements::F32)))
    return failure();
  return check.require(1, check['K'] >= 1, "expected a weight of at least 1 row");
}

PEER_INFER(CausalConvOp) {
  Check check(loc, "causal_conv");
  if (failed(checkConv(check, a)) || failed(check.context(3, a.getContextLength())))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", Float32Type::get(context))}, types);
}

std::string CausalConvOp::getIndexNotation() {
  std::string rows = sequenceOf(*this) + " d";
  return rows + ", . d -> " + rows;
}

int64_t CausalConvOp::getFlopsPerIteration() {
  return productOf({2, dimOf(getWeight(), 0), int64_t(getContextLength())});
}

SmallVector<std::pair<StringRef, RankedTensorType>> CausalConvOp::getCaches() {
  return {{"rows", asTensor(getWeight().getType())}};
}

Operation *CausalConvOp::buildDecoding(OpBuilder &builder, ValueRange operands, Value position, ValueRange caches) {
  return CachedCausalConvOp::create(builder, getLoc(), operands[0], operands[1], caches[0], position, ValueRange());
}

PEER_INFER(CausalConvGradOp) {
  Check check(loc, "causal_conv_grad");
  if (failed(checkConv(check, a)) || failed(check.shape(1, "dy", a.getDy(), "T D", Elements::F32)) ||
      failed(check.context(3, a.getContextLength())))
    return failure();
  bindSequences(check, a.getContextLength());
  Type f32 = Float32Type::get(context);
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", f32), check.tensor("R K D", f32)},
                         types);
}

std::string CausalConvGradOp::getIndexNotation() {
  std::string rows = sequenceOf(*this) + " d";
  return rows + ", . d, " + rows + " -> " + rows + ", s . d";
}

int64_t CausalConvGradOp::getFlopsPerIteration() {
  return productOf({4, dimOf(getWeight(), 0), int64_t(getContextLength())});
}

PEER_INFER(CachedCausalConvOp) {
  Check check(loc, "cached_causal_conv");
  if (failed(checkConv(check, a)) || failed(check.shape(1, "cache", a.getCache(), "K D", Elements::F32)) ||
      failed(check.shape(1, "position", a.getPosition(), "", Elements::I32)))
    return failure();
  Type f32 = Float32Type::get(context);
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", f32), check.tensor("K D", f32)},
                         types, /*tied=*/1);
}

std::string CachedCausalConvOp::getIndexNotation() { return "T ., . ., . ., -> T ., . ."; }

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

/// Operations for a state and a row: a product, a power and two products with sums; the power is counted as one.
static constexpr int64_t kScanFlops = 6, kScanGradFlops = 20;

template <typename Adaptor>
static LogicalResult checkScan(Check &check, Adaptor a) {
  if (failed(check.shape(1, "x", a.getX(), "T D", Elements::F32)) ||
      failed(check.shape(1, "delta", a.getDelta(), "T D", Elements::F32)) ||
      failed(check.shape(1, "a", a.getA(), "N D", Elements::F32)) ||
      failed(check.shape(1, "b", a.getB(), "T N", Elements::F32)) ||
      failed(check.shape(1, "c", a.getC(), "T N", Elements::F32)))
    return failure();
  return check.require(1, check['D'] >= 1 && check['N'] >= 1, "expected at least 1 channel and 1 state");
}

PEER_INFER(SelectiveScanOp) {
  Check check(loc, "selective_scan");
  if (failed(checkScan(check, a)) || failed(check.context(3, a.getContextLength())))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", Float32Type::get(context))}, types);
}

std::string SelectiveScanOp::getIndexNotation() {
  std::string rows = sequenceOf(*this);
  return rows + " d, " + rows + " d, . d, " + rows + " ., " + rows + " . -> " + rows + " d";
}

int64_t SelectiveScanOp::getFlopsPerIteration() {
  return productOf({kScanFlops, dimOf(getA(), 0), int64_t(getContextLength())});
}

SmallVector<std::pair<StringRef, RankedTensorType>> SelectiveScanOp::getCaches() {
  return {{"state", asTensor(getA().getType())}};
}

Operation *SelectiveScanOp::buildDecoding(OpBuilder &builder, ValueRange operands, Value position, ValueRange caches) {
  return CachedSelectiveScanOp::create(builder, getLoc(), operands[0], operands[1], operands[2], operands[3],
                                       operands[4], caches[0], position, ValueRange());
}

PEER_INFER(SelectiveScanGradOp) {
  Check check(loc, "selective_scan_grad");
  int64_t channels = a.getChannels();
  if (failed(checkScan(check, a)) || failed(check.shape(1, "dy", a.getDy(), "T D", Elements::F32)) ||
      failed(
          check.require(2, channels >= 1 && check['D'] % channels == 0,
                        "expected channels to divide the width " + Twine(check['D']) + ", got " + Twine(channels))) ||
      failed(check.context(3, a.getContextLength())))
    return failure();
  bindSequences(check, a.getContextLength());
  check.bind('G', check['D'] / channels);
  Type f32 = Float32Type::get(context);
  auto rows = check.tensor("T D", f32), shares = check.tensor("T G N", f32);
  return finishInference(check, a.getOperands(), a.getOuts(), {rows, rows, check.tensor("R N D", f32), shares, shares},
                         types);
}

std::string SelectiveScanGradOp::getIndexNotation() {
  std::string rows = sequenceOf(*this), group = " g*" + std::to_string(getChannels()), x = rows + group;
  std::string inputs = x + ", " + x + ", ." + group + ", " + rows + " ., " + rows + " ., " + x;
  return inputs + " -> " + x + ", " + x + ", s ." + group + ", " + rows + " g ., " + rows + " g .";
}

int64_t SelectiveScanGradOp::getFlopsPerIteration() {
  return productOf({kScanGradFlops, dimOf(getA(), 0), int64_t(getChannels()), int64_t(getContextLength())});
}

PEER_INFER(CachedSelectiveScanOp) {
  Check check(loc, "cached_selective_scan");
  if (failed(checkScan(check, a)) || failed(check.shape(1, "state", a.getState(), "N D", Elements::F32)) ||
      failed(check.shape(1, "position", a.getPosition(), "", Elements::I32)))
    return failure();
  Type f32 = Float32Type::get(context);
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", f32), check.tensor("N D", f32)},
                         types, /*tied=*/1);
}

std::string CachedSelectiveScanOp::getIndexNotation() { return "T ., T ., . ., T ., T ., . ., -> T ., . ."; }
