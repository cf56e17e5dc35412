//===- DifferentiationNN.cpp - gradients of the network's other ops ------===//
//
// Operands are addressed by their position in the ODS.
//
//===----------------------------------------------------------------------===//

#include "dialect/PeerOps.h"

using namespace mlir;
using namespace peer;

#define BUILD_GRADIENT(OP)                                                                                             \
  LogicalResult OP::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads, const llvm::SmallBitVector &wanted, \
                                  SmallVectorImpl<Value> &operandGrads)

/// The product of `a` and `b`, each read transposed if it says so, as `op` multiplies.
static Value multiply(OpBuilder &builder, LinearOp op, Value a, bool transposeA, Value b, bool transposeB) {
  return LinearOp::create(builder, op.getLoc(), a, b, /*bias=*/Value(), transposeA, transposeB, op.getProductsAttr(),
                          ValueRange())
      .getY();
}

// y = op(x) op(w). With plain operands dx = dy w^T and dw = x^T dy; where an operand is
// stored transposed its gradient is the transpose, (A B)^T = B^T A^T. Rounding counts as the identity.
BUILD_GRADIENT(LinearOp) {
  Value dy = resultGrads[0];
  bool transposeX = getTransposeX(), transposeW = getTransposeWeight();
  if (wanted[0])
    operandGrads[0] = transposeX ? multiply(builder, *this, getWeight(), transposeW, dy, true)
                                 : multiply(builder, *this, dy, false, getWeight(), !transposeW);
  if (wanted[1])
    operandGrads[1] = transposeW ? multiply(builder, *this, dy, true, getX(), transposeX)
                                 : multiply(builder, *this, getX(), !transposeX, dy, false);
  if (getBias() && wanted[2])
    operandGrads[2] = ColumnSumsOp::create(builder, getLoc(), dy, ValueRange()).getSums();
  return success();
}

LogicalResult QuantizedLinearOp::buildGradient(OpBuilder &, ArrayRef<Value>, const llvm::SmallBitVector &,
                                               SmallVectorImpl<Value> &) {
  return emitError() << "op 'peer.quantized_linear' has no gradient: stored weights are for inference; train with "
                        "peer.linear and quantize what it learned";
}

BUILD_GRADIENT(ReshapeOp) {
  if (!wanted[0])
    return success();
  auto given = cast<RankedTensorType>(resultGrads[0].getType());
  auto shape = cast<RankedTensorType>(getX().getType());
  operandGrads[0] =
      ReshapeOp::create(builder, getLoc(), resultGrads[0], shape.clone(given.getElementType()), ValueRange()).getY();
  return success();
}

BUILD_GRADIENT(EmbeddingOp) {
  if (!wanted[1])
    return success();
  int64_t rows = cast<ShapedType>(getTable().getType()).getDimSize(0);
  operandGrads[1] =
      EmbeddingGradOp::create(builder, getLoc(), getTokens(), resultGrads[0], rows, ValueRange()).getDtable();
  return success();
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

BUILD_GRADIENT(RMSNormOp) {
  auto grad =
      RMSNormGradOp::create(builder, getLoc(), getX(), getWeight(), resultGrads[0], getEpsilonAttr(), ValueRange());
  if (wanted[0])
    operandGrads[0] = grad.getDx();
  if (wanted[1])
    operandGrads[1] =
        RMSNormWeightGradOp::create(builder, getLoc(), getX(), grad.getRstd(), resultGrads[0], ValueRange())
            .getDweight();
  return success();
}

BUILD_GRADIENT(LayerNormOp) {
  auto grad =
      LayerNormGradOp::create(builder, getLoc(), getX(), getWeight(), resultGrads[0], getEpsilonAttr(), ValueRange());
  if (wanted[0])
    operandGrads[0] = grad.getDx();
  if (!wanted[1] && !wanted[2])
    return success();
  auto affine = LayerNormWeightGradOp::create(builder, getLoc(), getX(), grad.getMean(), grad.getRstd(), resultGrads[0],
                                              ValueRange());
  if (wanted[1])
    operandGrads[1] = affine.getDweight();
  if (wanted[2])
    operandGrads[2] = affine.getDbias();
  return success();
}

BUILD_GRADIENT(BatchNormOp) {
  // With batch statistics dx contains what flows through mean and variance, which come from x.
  if (!getBatchStatistics() && (wanted[3] || wanted[4]))
    return emitOpError("has no gradient for running statistics; set batch_statistics to train through them");
  auto affine = BatchNormWeightGradOp::create(builder, getLoc(), getX(), getMean(), getVariance(), resultGrads[0],
                                              getEpsilonAttr(), ValueRange());
  Value dweight = affine.getDweight(), dbias = affine.getDbias();
  if (wanted[0])
    operandGrads[0] =
        BatchNormGradOp::create(builder, getLoc(), getX(), getWeight(), getMean(), getVariance(), resultGrads[0],
                                dweight, dbias, getEpsilonAttr(), getBatchStatisticsAttr(), ValueRange())
            .getDx();
  if (wanted[1])
    operandGrads[1] = dweight;
  if (wanted[2])
    operandGrads[2] = dbias;
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

BUILD_GRADIENT(RotaryOp) {
  // A rotation's transpose turns the other way.
  if (wanted[0])
    operandGrads[0] = RotaryOp::create(builder, getLoc(), resultGrads[0], getHeads(), getContextLength(), getBase(),
                                       !getInverse(), ValueRange())
                          .getY();
  return success();
}

BUILD_GRADIENT(AttentionOp) {
  auto grad = AttentionGradOp::create(builder, getLoc(), getQuery(), getKey(), getValue(), resultGrads[0],
                                      getHeadsAttr(), getContextLengthAttr(), getWindowAttr(), ValueRange());
  for (unsigned i : wanted.set_bits())
    operandGrads[i] = grad.getResult(i);
  return success();
}

//===----------------------------------------------------------------------===//
// State spaces
//===----------------------------------------------------------------------===//

/// The sum over sequences of what each has, `S x K x D`.
static Value sumSequences(OpBuilder &builder, Location loc, Value each) {
  auto type = cast<RankedTensorType>(each.getType());
  int64_t rows = type.getDimSize(1), width = type.getDimSize(2);
  auto flat = type.clone({type.getDimSize(0), rows * width});
  Value sums =
      ColumnSumsOp::create(builder, loc, ReshapeOp::create(builder, loc, each, flat, ValueRange()).getY(), ValueRange())
          .getSums();
  return ReshapeOp::create(builder, loc, sums, type.clone({rows, width}), ValueRange()).getY();
}

BUILD_GRADIENT(CausalConvOp) {
  auto grad = CausalConvGradOp::create(builder, getLoc(), getX(), getWeight(), resultGrads[0], getContextLengthAttr(),
                                       ValueRange());
  if (wanted[0])
    operandGrads[0] = grad.getDx();
  if (wanted[1])
    operandGrads[1] = sumSequences(builder, getLoc(), grad.getDweight());
  return success();
}

/// Channels of a group, whose sums one owner has: as many as a warp has lanes, or a vector or a few of them.
static int64_t channelsOfGroup(int64_t width) {
  int64_t channels = std::min<int64_t>(width, 32);
  while (width % channels != 0)
    --channels;
  return channels;
}

BUILD_GRADIENT(SelectiveScanOp) {
  int64_t channels = channelsOfGroup(cast<RankedTensorType>(getX().getType()).getDimSize(1));
  auto grad = SelectiveScanGradOp::create(builder, getLoc(), getX(), getDelta(), getA(), getB(), getC(), resultGrads[0],
                                          getContextLengthAttr(), builder.getI64IntegerAttr(channels), ValueRange());
  auto sumGroups = [&](Value each) {
    return ReduceOp::create(builder, getLoc(), ReduceKind::Sum, each, ArrayRef<int64_t>{1}, ValueRange()).getY();
  };
  if (wanted[0])
    operandGrads[0] = grad.getDx();
  if (wanted[1])
    operandGrads[1] = grad.getDdelta();
  if (wanted[2])
    operandGrads[2] = sumSequences(builder, getLoc(), grad.getDa());
  if (wanted[3])
    operandGrads[3] = sumGroups(grad.getDb());
  if (wanted[4])
    operandGrads[4] = sumGroups(grad.getDc());
  return success();
}

//===----------------------------------------------------------------------===//
// Activation and loss
//===----------------------------------------------------------------------===//

BUILD_GRADIENT(ActivationOp) {
  if (wanted[0])
    operandGrads[0] =
        ActivationGradOp::create(builder, getLoc(), getX(), resultGrads[0], getKind(), ValueRange()).getDx();
  return success();
}

BUILD_GRADIENT(CrossEntropyOp) {
  if (wanted[0])
    operandGrads[0] =
        CrossEntropyGradOp::create(builder, getLoc(), getLogits(), getTargets(), resultGrads[0], ValueRange())
            .getDlogits();
  return success();
}

BUILD_GRADIENT(MeanOp) {
  if (wanted[0])
    operandGrads[0] = MeanGradOp::create(builder, getLoc(), getX(), resultGrads[0], ValueRange()).getDx();
  return success();
}
