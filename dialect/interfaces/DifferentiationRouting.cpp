//===- DifferentiationRouting.cpp - gradients of the routing ops ---------===//
//
// Formulas: LAYERS, "PEER". Operands are addressed by their position in the ODS.
//
//===----------------------------------------------------------------------===//

#include "dialect/PeerOps.h"

using namespace mlir;
using namespace peer;

LogicalResult ScoreOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                     const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) {
  Value dlogits = resultGrads[0];
  if (wanted[0])
    operandGrads[0] = ScoreQueryGradOp::create(builder, getLoc(), dlogits, getKeys(), ValueRange()).getDquery();
  if (wanted[1]) {
    int64_t heads = cast<ShapedType>(getQuery().getType()).getDimSize(1);
    int64_t keyHeads = cast<ShapedType>(getKeys().getType()).getDimSize(0);
    bool shared = keyHeads == 1 && heads > 1;
    operandGrads[1] = ScoreKeyGradOp::create(builder, getLoc(), dlogits, getQuery(), shared, ValueRange()).getDkeys();
  }
  return success();
}

LogicalResult SelectOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                      const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) {
  // The indices are integers: all that can flow is the gradient of the values.
  if (!wanted[0] || !resultGrads[1])
    return success();
  int64_t keys = cast<ShapedType>(getLogits().getType()).getDimSize(3);
  operandGrads[0] =
      SelectGradOp::create(builder, getLoc(), getIdx(), resultGrads[1], getPolicy(), keys, ValueRange()).getDlogits();
  return success();
}

LogicalResult GateOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads, const llvm::SmallBitVector &wanted,
                                    SmallVectorImpl<Value> &operandGrads) {
  // A constant weight passes nothing on.
  if (!wanted[0] || getKind() == GateKind::One)
    return success();
  operandGrads[0] =
      GateGradOp::create(builder, getLoc(), getVal(), getWeights(), resultGrads[0], getKind(), ValueRange()).getDval();
  return success();
}

/// That of a sigmoid, of every expert.
LogicalResult StraightThroughOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                               const llvm::SmallBitVector &wanted,
                                               SmallVectorImpl<Value> &operandGrads) {
  if (std::string why = rejectScores(/*proven=*/true); !why.empty())
    return emitError() << "op 'peer.straight_through' " << why;
  if (!wanted[0])
    return success();
  Value sigmoid = GateOp::create(builder, getLoc(), getVal(), GateKind::Sigmoid, ValueRange()).getWeights();
  operandGrads[0] =
      GateGradOp::create(builder, getLoc(), getVal(), sigmoid, resultGrads[0], GateKind::Sigmoid, ValueRange())
          .getDval();
  return success();
}

/// Tokens are integers, and the weights are constants.
LogicalResult HashOp::buildGradient(OpBuilder &, ArrayRef<Value>, const llvm::SmallBitVector &,
                                    SmallVectorImpl<Value> &) {
  return success();
}

LogicalResult ProbabilityOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                           const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) {
  Value dweights = resultGrads[0];
  if (wanted[0])
    operandGrads[0] = arith::MulFOp::create(builder, getLoc(), getWeights(), dweights);
  if (wanted[1])
    operandGrads[1] =
        ProbabilityGradOp::create(builder, getLoc(), getLogits(), getWeights(), dweights, ValueRange()).getDlogits();
  return success();
}

LogicalResult MixOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads, const llvm::SmallBitVector &wanted,
                                   SmallVectorImpl<Value> &operandGrads) {
  Value dy = resultGrads[0];
  auto token = MixGradOp::create(builder, getLoc(), getX(), getIdx(), getWeights(), getPool(), dy, getActivationAttr(),
                                 getRowsPerExpertAttr(), ValueRange());
  if (wanted[0])
    operandGrads[0] = token.getDx();
  if (wanted[2])
    operandGrads[2] = token.getDweights();
  if (!wanted[3])
    return success();
  auto sorted = SortPairsOp::create(builder, getLoc(), getIdx(), getNumExperts(), ValueRange());
  int64_t rows = cast<ShapedType>(getPool().getType()).getDimSize(0);
  operandGrads[3] = PoolGradOp::create(builder, getLoc(), getIdx(), sorted.getOrder(), sorted.getStarts(),
                                       sorted.getCount(), token.getCoef(), getX(), dy, rows, ValueRange())
                        .getDpool();
  return success();
}

LogicalResult QuantizedMixOp::buildGradient(OpBuilder &, ArrayRef<Value>, const llvm::SmallBitVector &,
                                            SmallVectorImpl<Value> &) {
  return emitError() << "op 'peer.quantized_mix' has no gradient: int8 rows are for inference; train with peer.mix and "
                        "quantize what it learned";
}
