//===- DifferentiationBalance.cpp - gradients of what keeps use even -----===//
//
// Operands are addressed by their position in the ODS. Counts pass nothing on.
//
//===----------------------------------------------------------------------===//

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace peer;

LogicalResult ExpertLoadOp::buildGradient(OpBuilder &, ArrayRef<Value>, const llvm::SmallBitVector &,
                                          SmallVectorImpl<Value> &) {
  return success();
}

LogicalResult BalanceLossOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                           const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) {
  if (wanted[0])
    operandGrads[0] =
        BalanceLossGradOp::create(builder, getLoc(), getLogits(), getLoad(), resultGrads[0], ValueRange()).getDlogits();
  return success();
}

LogicalResult ZLossOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                     const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) {
  if (wanted[0])
    operandGrads[0] = ZLossGradOp::create(builder, getLoc(), getLogits(), resultGrads[0], ValueRange()).getDlogits();
  return success();
}

LogicalResult BalanceBiasOp::buildGradient(OpBuilder &, ArrayRef<Value>, const llvm::SmallBitVector &,
                                           SmallVectorImpl<Value> &) {
  return emitError() << "op 'peer.balance_bias' has no gradient: its scores are to select by; take the weights from "
                        "the logits without the bias, by peer.gather";
}

LogicalResult GatherOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                      const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) {
  if (!wanted[0])
    return success();
  auto logits = cast<ShapedType>(getLogits().getType()), idx = cast<ShapedType>(getIdx().getType());
  int64_t k = idx.getDimSize(2);
  SelectPolicyAttrInterface policy = TopKPolicyAttr::get(builder.getContext(), k);
  if (logits.getDimSize(2) == 2)
    policy = ProductTopKPolicyAttr::get(builder.getContext(), k);
  operandGrads[0] =
      SelectGradOp::create(builder, getLoc(), getIdx(), resultGrads[0], policy, logits.getDimSize(3), ValueRange())
          .getDlogits();
  return success();
}

/// The weights' gradient, 0 where the pair was dropped.
LogicalResult CapacityOp::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                        const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) {
  Value dkept = resultGrads[1];
  if (!wanted[1] || !dkept)
    return success();
  auto type = cast<RankedTensorType>(dkept.getType());
  Location loc = getLoc();
  Value out = tensor::EmptyOp::create(builder, loc, tensor::getMixedSizes(builder, loc, dkept), type.getElementType());
  AffineMap all = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  auto select = [](OpBuilder &b, Location loc, ValueRange values) {
    Value none = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
    Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0f));
    Value stays = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, values[0], none);
    linalg::YieldOp::create(b, loc, Value(arith::SelectOp::create(b, loc, stays, values[1], zero)));
  };
  operandGrads[1] = linalg::GenericOp::create(builder, loc, TypeRange{type}, ValueRange{getKept(), dkept},
                                              ValueRange{out}, {all, all, all}, loops, select)
                        .getResult(0);
  return success();
}
