//===- Folds.cpp - what is simpler without an op -------------------------===//
//
// Only what holds for every value of the operands; all folds are of the value
// form, where an op is what it computes.
//
//===----------------------------------------------------------------------===//

#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;

/// The one result of an op in value form that has no destination, else null: a
/// destination says where the value must lie, which a fold would forget.
template <typename Op>
static Value freeResult(Op op) {
  return op.getNumResults() == 1 && op.getOuts().empty() ? op.getResult(0) : Value();
}

/// Whether peer.reshape takes `from` to `to` in one step (its C2); both are ends of legal reshapes.
static bool reshapesDirectly(RankedTensorType from, RankedTensorType to) {
  if (from.hasStaticShape() || to.hasStaticShape())
    return from.hasStaticShape() && to.hasStaticShape();
  int64_t a = restOf(from), b = restOf(to);
  return a % b == 0 || b % a == 0;
}

/// reshape(x) to the type of x -> x; reshape(reshape(x)) -> reshape(x).
LogicalResult ReshapeOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  Value result = freeResult(*this);
  if (!result)
    return failure();
  if (getX().getType() == result.getType()) {
    results.push_back(getX());
    return success();
  }
  auto inner = getX().getDefiningOp<ReshapeOp>();
  if (!inner || !freeResult(inner) ||
      !reshapesDirectly(cast<RankedTensorType>(inner.getX().getType()), cast<RankedTensorType>(getType())))
    return failure();
  getXMutable().assign(inner.getX());
  return success();
}

/// Turning by an angle and back by the same one -> x.
LogicalResult RotaryOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  Value result = freeResult(*this);
  auto inner = getX().getDefiningOp<RotaryOp>();
  if (!result || !inner || !freeResult(inner) || inner.getInverse() == getInverse() || inner.getHeads() != getHeads() ||
      inner.getContextLength() != getContextLength() || inner.getBase() != getBase() ||
      inner.getX().getType() != result.getType())
    return failure();
  results.push_back(inner.getX());
  return success();
}

/// relu(relu(x)) -> relu(x).
LogicalResult ActivationOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  Value result = freeResult(*this);
  auto inner = getX().getDefiningOp<ActivationOp>();
  if (!result || !inner || getKind() != Activation::Relu || inner.getKind() != Activation::Relu ||
      getX().getType() != result.getType())
    return failure();
  results.push_back(getX());
  return success();
}

/// A block no times in sequence is nothing.
LogicalResult RepeatOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  if (getCount() != 0)
    return failure();
  results.append(getInputs().begin(), getInputs().end());
  return success();
}
