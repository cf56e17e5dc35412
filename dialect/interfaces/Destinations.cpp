//===- Destinations.cpp - where graph ops write their outputs ------------===//

#include "dialect/interfaces/Destinations.h"

#include "dialect/interfaces/IndexNotation.h"
#include "dialect/interfaces/Tiling.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;
using namespace peer;

OpOperand *peer::getDestination(GraphOpInterface op, unsigned output) {
  if (std::optional<unsigned> tied = op.getTiedInput(output))
    return &op->getOpOperand(*tied);
  unsigned position = getNumInputs(op);
  for (unsigned earlier = 0; earlier < output; ++earlier)
    position += !op.getTiedInput(earlier);
  return position < op->getNumOperands() ? &op->getOpOperand(position) : nullptr;
}

std::optional<unsigned> peer::getWrittenOutput(GraphOpInterface op, OpOperand &operand) {
  for (unsigned output = 0, end = getNumOutputs(op); output < end; ++output)
    if (getDestination(op, output) == &operand)
      return output;
  return std::nullopt;
}

bool peer::lacksDestinations(GraphOpInterface op) {
  for (unsigned output = 0, end = op->getNumResults(); output < end; ++output)
    if (!getDestination(op, output))
      return true;
  return false;
}

OpFoldResult peer::getTensorDim(OpBuilder &builder, Location loc, Value tensor, int64_t dim) {
  while (true) {
    int64_t size = cast<RankedTensorType>(tensor.getType()).getDimSize(dim);
    if (!ShapedType::isDynamic(size))
      return builder.getIndexAttr(size);
    auto result = dyn_cast<OpResult>(tensor);
    if (!result)
      break;
    Operation *owner = result.getOwner();
    if (auto graphOp = dyn_cast<GraphOpInterface>(owner)) {
      if (std::optional<unsigned> tied = graphOp.getTiedInput(result.getResultNumber())) {
        tensor = owner->getOperand(*tied);
        continue;
      }
      IndexNotation notation = IndexNotation::of(graphOp);
      IndexDim walked = notation.outputs[result.getResultNumber()][dim];
      if (walked.loop < 0)
        break;
      return scaleIndex(builder, loc, getLoopSize(builder, graphOp, notation.loops[walked.loop]), walked.scale);
    }
    if (auto cast = dyn_cast<tensor::CastOp>(owner)) {
      tensor = cast.getSource();
      continue;
    }
    if (auto empty = dyn_cast<tensor::EmptyOp>(owner))
      return empty.getDynamicSize(dim);
    auto slice = dyn_cast<tensor::ExtractSliceOp>(owner);
    if (slice && slice.getDroppedDims().none())
      return slice.getMixedSizes()[dim];
    if (auto forall = dyn_cast<scf::ForallOp>(owner)) {
      tensor = forall.getTiedOpOperand(result)->get();
      continue;
    }
    auto dpsOp = dyn_cast<DestinationStyleOpInterface>(owner);
    if (!dpsOp)
      break;
    tensor = dpsOp.getTiedOpOperand(result)->get();
  }
  return tensor::DimOp::create(builder, loc, tensor, dim).getResult();
}

SmallVector<OpFoldResult> peer::getOutputSizes(OpBuilder &builder, GraphOpInterface op, unsigned output) {
  Value result = op->getResult(output);
  SmallVector<OpFoldResult> sizes;
  for (int64_t dim = 0, rank = cast<RankedTensorType>(result.getType()).getRank(); dim < rank; ++dim)
    sizes.push_back(getTensorDim(builder, op->getLoc(), result, dim));
  return sizes;
}

FailureOr<GraphOpInterface> peer::addDestinations(RewriterBase &rewriter, GraphOpInterface op) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  IndexNotation notation = IndexNotation::of(op);
  SmallVector<Value> outs;
  for (OpResult result : op->getResults()) {
    unsigned output = result.getResultNumber();
    if (op.getTiedInput(output))
      continue;
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<Value> dynamicSizes;
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      if (!type.isDynamicDim(dim))
        continue;
      if (notation.outputs[output][dim].loop < 0)
        return op.emitOpError("does not say the size of dimension ") << dim << " of result " << output;
      OpFoldResult size = getTensorDim(rewriter, op->getLoc(), result, dim);
      dynamicSizes.push_back(getValueOrCreateConstantIndexOp(rewriter, op->getLoc(), size));
    }
    outs.push_back(tensor::EmptyOp::create(rewriter, op->getLoc(), type, dynamicSizes));
  }
  rewriter.modifyOpInPlace(op, [&] { op.getOutsMutable().assign(outs); });
  return op;
}
