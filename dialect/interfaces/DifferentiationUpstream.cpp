//===- DifferentiationUpstream.cpp - gradients of upstream ops -----------===//

#include "dialect/interfaces/Differentiation.h"

#include "dialect/PeerOps.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace peer;

namespace {

/// `value` in the element type of `like`: gradients of values narrower than f32 are f32.
Value convert(OpBuilder &builder, Location loc, Value value, Type like) {
  auto given = cast<RankedTensorType>(value.getType());
  auto wanted = given.clone(getElementTypeOrSelf(like));
  if (given == wanted)
    return value;
  if (given.getElementTypeBitWidth() < wanted.getElementTypeBitWidth())
    return arith::ExtFOp::create(builder, loc, wanted, value);
  return arith::TruncFOp::create(builder, loc, wanted, value);
}

/// All models share the interface's signature; only the rule differs.
template <typename Rule, typename Op>
struct Model : DifferentiableOpInterface::ExternalModel<Rule, Op> {
  LogicalResult buildGradient(Operation *op, OpBuilder &builder, ArrayRef<Value> resultGrads,
                              const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) const {
    for (unsigned i : wanted.set_bits())
      operandGrads[i] = Rule::gradient(builder, cast<Op>(op), resultGrads[0], i);
    return success();
  }
};

struct AddModel : Model<AddModel, arith::AddFOp> {
  static Value gradient(OpBuilder &, arith::AddFOp, Value dy, unsigned) { return dy; }
};

struct SubModel : Model<SubModel, arith::SubFOp> {
  static Value gradient(OpBuilder &builder, arith::SubFOp op, Value dy, unsigned operand) {
    return operand == 0 ? dy : arith::NegFOp::create(builder, op.getLoc(), dy).getResult();
  }
};

struct NegModel : Model<NegModel, arith::NegFOp> {
  static Value gradient(OpBuilder &builder, arith::NegFOp op, Value dy, unsigned) {
    return arith::NegFOp::create(builder, op.getLoc(), dy);
  }
};

struct MulModel : Model<MulModel, arith::MulFOp> {
  static Value gradient(OpBuilder &builder, arith::MulFOp op, Value dy, unsigned operand) {
    Value other = convert(builder, op.getLoc(), op->getOperand(1 - operand), dy.getType());
    return arith::MulFOp::create(builder, op.getLoc(), dy, other);
  }
};

// d(a / b) = da / b - db * (a / b) / b
struct DivModel : Model<DivModel, arith::DivFOp> {
  static Value gradient(OpBuilder &builder, arith::DivFOp op, Value dy, unsigned operand) {
    Location loc = op.getLoc();
    Value divisor = convert(builder, loc, op.getRhs(), dy.getType());
    Value quotient = arith::DivFOp::create(builder, loc, dy, divisor);
    if (operand == 0)
      return quotient;
    Value value = convert(builder, loc, op.getResult(), dy.getType());
    return arith::NegFOp::create(builder, loc, arith::MulFOp::create(builder, loc, quotient, value));
  }
};

/// Widening and narrowing pass the gradient on; only that of an f64 is not f32.
Value passOn(OpBuilder &builder, Location loc, Value dy, Type source) {
  Type element = getElementTypeOrSelf(source);
  return convert(builder, loc, dy, element.isF64() ? element : Type(builder.getF32Type()));
}

struct ExtModel : Model<ExtModel, arith::ExtFOp> {
  static Value gradient(OpBuilder &builder, arith::ExtFOp op, Value dy, unsigned) {
    return passOn(builder, op.getLoc(), dy, op.getIn().getType());
  }
};

struct TruncModel : Model<TruncModel, arith::TruncFOp> {
  static Value gradient(OpBuilder &builder, arith::TruncFOp op, Value dy, unsigned) {
    return passOn(builder, op.getLoc(), dy, op.getIn().getType());
  }
};

struct CastModel : Model<CastModel, tensor::CastOp> {
  static Value gradient(OpBuilder &builder, tensor::CastOp op, Value dy, unsigned) {
    auto source = cast<RankedTensorType>(op.getSource().getType());
    Type type = source.clone(getElementTypeOrSelf(dy.getType()));
    return tensor::CastOp::create(builder, op.getLoc(), type, dy);
  }
};

} // namespace

void peer::registerDifferentiationModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, arith::ArithDialect *) {
    arith::AddFOp::attachInterface<AddModel>(*context);
    arith::SubFOp::attachInterface<SubModel>(*context);
    arith::NegFOp::attachInterface<NegModel>(*context);
    arith::MulFOp::attachInterface<MulModel>(*context);
    arith::DivFOp::attachInterface<DivModel>(*context);
    arith::ExtFOp::attachInterface<ExtModel>(*context);
    arith::TruncFOp::attachInterface<TruncModel>(*context);
  });
  registry.addExtension(
      +[](MLIRContext *context, tensor::TensorDialect *) { tensor::CastOp::attachInterface<CastModel>(*context); });
}
