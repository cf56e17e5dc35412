//===- DifferentiationTensor.cpp - gradients of the tensor ops -----------===//
//
// Each is made of tensor ops again: broadcast and sum are each other's transpose, and so are slice and pad.
//
//===----------------------------------------------------------------------===//

#include "dialect/interfaces/Differentiation.h"

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace peer;

#define BUILD_GRADIENT(OP)                                                                                             \
  LogicalResult OP::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads, const llvm::SmallBitVector &wanted, \
                                  SmallVectorImpl<Value> &operandGrads)

static Value broadcast(OpBuilder &builder, Location loc, Value x, Value like, ArrayRef<int64_t> dims) {
  return BroadcastOp::create(builder, loc, x, like, dims, ValueRange()).getY();
}

static Value sum(OpBuilder &builder, Location loc, Value x, ArrayRef<int64_t> dims) {
  return dims.empty() ? x : ReduceOp::create(builder, loc, ReduceKind::Sum, x, dims, ValueRange()).getY();
}

// dx = y * (dy - sum of y * dy)
BUILD_GRADIENT(SoftmaxOp) {
  if (!wanted[0])
    return success();
  Location loc = getLoc();
  Value y = getY(), dy = resultGrads[0];
  int64_t last = cast<ShapedType>(y.getType()).getRank() - 1;
  Value inner = sum(builder, loc, arith::MulFOp::create(builder, loc, y, dy), {last});
  Value centered = arith::SubFOp::create(builder, loc, dy, broadcast(builder, loc, inner, y, {last}));
  operandGrads[0] = arith::MulFOp::create(builder, loc, y, centered);
  return success();
}

// Of `like` nothing but the shape is read.
BUILD_GRADIENT(BroadcastOp) {
  if (wanted[0])
    operandGrads[0] = sum(builder, getLoc(), resultGrads[0], getDims());
  return success();
}

BUILD_GRADIENT(ReduceOp) {
  if (!wanted[0])
    return success();
  Location loc = getLoc();
  Value x = getX(), dy = resultGrads[0];
  auto spread = [&](Value value) { return broadcast(builder, loc, value, x, getDims()); };
  if (getKind() == ReduceKind::Sum) {
    operandGrads[0] = spread(dy);
    return success();
  }
  if (getKind() == ReduceKind::Mean) {
    int64_t count = 1;
    for (int64_t dim : getDims())
      count *= cast<ShapedType>(x.getType()).getDimSize(dim);
    operandGrads[0] = spread(arith::DivFOp::create(builder, loc, dy, createSplat(builder, loc, double(count), dy)));
    return success();
  }
  // Elements as large as the largest share its gradient. Where that is NaN none is, and the gradient is NaN.
  Value same = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, x, spread(getY()));
  Value shares =
      arith::SelectOp::create(builder, loc, same, createSplat(builder, loc, 1, x), createSplat(builder, loc, 0, x));
  Value part = arith::DivFOp::create(builder, loc, dy, sum(builder, loc, shares, getDims()));
  operandGrads[0] = arith::MulFOp::create(builder, loc, shares, spread(part));
  return success();
}

BUILD_GRADIENT(SliceOp) {
  if (!wanted[0])
    return success();
  int64_t whole = cast<ShapedType>(getX().getType()).getDimSize(getDim()), from = getFrom(), size = getSize();
  operandGrads[0] =
      PadOp::create(builder, getLoc(), resultGrads[0], getDim(), from, whole - from - size, ValueRange()).getY();
  return success();
}

BUILD_GRADIENT(PadOp) {
  if (wanted[0])
    operandGrads[0] = SliceOp::create(builder, getLoc(), resultGrads[0], getDim(), getLow(),
                                      cast<ShapedType>(getX().getType()).getDimSize(getDim()), ValueRange())
                          .getY();
  return success();
}

BUILD_GRADIENT(ConcatOp) {
  int64_t from = 0;
  for (auto [i, part] : llvm::enumerate(getXs())) {
    int64_t size = cast<ShapedType>(part.getType()).getDimSize(getDim());
    if (wanted[i])
      operandGrads[i] = SliceOp::create(builder, getLoc(), resultGrads[0], getDim(), from, size, ValueRange()).getY();
    from += size;
  }
  return success();
}

BUILD_GRADIENT(TransposeOp) {
  if (wanted[0])
    operandGrads[0] =
        TransposeOp::create(builder, getLoc(), resultGrads[0], invertPermutationVector(getPermutation()), ValueRange())
            .getY();
  return success();
}

// Linear in x: what is dropped of x is dropped of its gradient.
BUILD_GRADIENT(DropoutOp) {
  if (wanted[0])
    operandGrads[0] =
        DropoutOp::create(builder, getLoc(), resultGrads[0], getSeed(), getRateAttr(), getPlaceAttr(), ValueRange())
            .getY();
  return success();
}
