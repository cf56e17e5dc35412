//===- DifferentiationUpstream.cpp - gradients of upstream ops -----------===//

#include "dialect/interfaces/Differentiation.h"

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace peer;

Value peer::createSplat(OpBuilder &builder, Location loc, double number, Value like) {
  Value scalar =
      arith::ConstantOp::create(builder, loc, builder.getFloatAttr(getElementTypeOrSelf(like.getType()), number));
  auto type = dyn_cast<RankedTensorType>(like.getType());
  if (!type)
    return scalar;
  Value empty = tensor::EmptyOp::create(builder, loc, tensor::getMixedSizes(builder, loc, like), type.getElementType());
  return linalg::FillOp::create(builder, loc, scalar, empty).getResult(0);
}

namespace {

/// `value`, a tensor or scalar, in the element type of `like`: gradients of values narrower than f32 are f32.
Value convert(OpBuilder &builder, Location loc, Value value, Type like) {
  Type given = getElementTypeOrSelf(value.getType()), wanted = getElementTypeOrSelf(like);
  if (given == wanted)
    return value;
  auto tensor = dyn_cast<RankedTensorType>(value.getType());
  Type type = tensor ? Type(tensor.clone(wanted)) : wanted;
  if (given.getIntOrFloatBitWidth() < wanted.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(builder, loc, type, value);
  return arith::TruncFOp::create(builder, loc, type, value);
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

// The condition of a select, and what is compared, carry none.
struct SelectModel : Model<SelectModel, arith::SelectOp> {
  static Value gradient(OpBuilder &builder, arith::SelectOp op, Value dy, unsigned operand) {
    Value zero = createSplat(builder, op.getLoc(), 0, dy);
    return arith::SelectOp::create(builder, op.getLoc(), op.getCondition(), operand == 1 ? dy : zero,
                                   operand == 1 ? zero : dy);
  }
};

/// Of the larger or smaller of two: where both are equal the first has the gradient.
template <typename Op, arith::CmpFPredicate First>
struct ExtremeModel : Model<ExtremeModel<Op, First>, Op> {
  static Value gradient(OpBuilder &builder, Op op, Value dy, unsigned operand) {
    Value first = arith::CmpFOp::create(builder, op.getLoc(), First, op.getLhs(), op.getRhs());
    Value zero = createSplat(builder, op.getLoc(), 0, dy);
    return arith::SelectOp::create(builder, op.getLoc(), first, operand == 0 ? dy : zero, operand == 0 ? zero : dy);
  }
};

/// f(x) with f' in terms of x and y = f(x), both in the gradient's type.
template <typename Rule, typename Op>
struct FunctionModel : Model<FunctionModel<Rule, Op>, Op> {
  static Value gradient(OpBuilder &builder, Op op, Value dy, unsigned) {
    Location loc = op.getLoc();
    Value x = convert(builder, loc, op->getOperand(0), dy.getType());
    Value y = convert(builder, loc, op->getResult(0), dy.getType());
    ImplicitLocOpBuilder b(loc, builder);
    Value dx = Rule::gradient(b, x, y, dy);
    builder.setInsertionPointAfter(dx.getDefiningOp());
    return dx;
  }
};

Value mul(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::MulFOp::create(b, x, y); }
Value div(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::DivFOp::create(b, x, y); }
Value add(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::AddFOp::create(b, x, y); }
Value neg(ImplicitLocOpBuilder &b, Value x) { return arith::NegFOp::create(b, x); }

#define PEER_FUNCTION(NAME, EXPRESSION)                                                                                \
  struct NAME##Rule {                                                                                                  \
    static Value gradient(ImplicitLocOpBuilder &b, Value x, Value y, Value dy) {                                       \
      (void)x, (void)y;                                                                                                \
      return EXPRESSION;                                                                                               \
    }                                                                                                                  \
  };
PEER_FUNCTION(Exp, mul(b, dy, y))
PEER_FUNCTION(Exp2, mul(b, mul(b, dy, y), createSplat(b, b.getLoc(), 0.693147180559945309, dy)))
PEER_FUNCTION(ExpM1, add(b, dy, mul(b, dy, y)))
PEER_FUNCTION(Log, div(b, dy, x))
PEER_FUNCTION(Log2, div(b, dy, mul(b, x, createSplat(b, b.getLoc(), 0.693147180559945309, dy))))
PEER_FUNCTION(Log1p, div(b, dy, add(b, x, createSplat(b, b.getLoc(), 1, dy))))
PEER_FUNCTION(Sqrt, div(b, dy, add(b, y, y)))
PEER_FUNCTION(Rsqrt, neg(b, div(b, mul(b, dy, y), add(b, x, x))))
PEER_FUNCTION(Tanh, arith::SubFOp::create(b, dy, mul(b, dy, mul(b, y, y))))
PEER_FUNCTION(Sin, mul(b, dy, math::CosOp::create(b, x)))
PEER_FUNCTION(Cos, neg(b, mul(b, dy, math::SinOp::create(b, x))))
PEER_FUNCTION(Erf, mul(b, mul(b, dy, createSplat(b, b.getLoc(), 1.12837916709551257, dy)),
                       math::ExpOp::create(b, neg(b, mul(b, x, x)))))
PEER_FUNCTION(Abs, arith::SelectOp::create(b,
                                           arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x,
                                                                 createSplat(b, b.getLoc(), 0, x)),
                                           neg(b, dy), dy))
#undef PEER_FUNCTION

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
    arith::SelectOp::attachInterface<SelectModel>(*context);
    arith::MaximumFOp::attachInterface<ExtremeModel<arith::MaximumFOp, arith::CmpFPredicate::OGE>>(*context);
    arith::MaxNumFOp::attachInterface<ExtremeModel<arith::MaxNumFOp, arith::CmpFPredicate::OGE>>(*context);
    arith::MinimumFOp::attachInterface<ExtremeModel<arith::MinimumFOp, arith::CmpFPredicate::OLE>>(*context);
    arith::MinNumFOp::attachInterface<ExtremeModel<arith::MinNumFOp, arith::CmpFPredicate::OLE>>(*context);
  });
  registry.addExtension(+[](MLIRContext *context, math::MathDialect *) {
    math::ExpOp::attachInterface<FunctionModel<ExpRule, math::ExpOp>>(*context);
    math::Exp2Op::attachInterface<FunctionModel<Exp2Rule, math::Exp2Op>>(*context);
    math::ExpM1Op::attachInterface<FunctionModel<ExpM1Rule, math::ExpM1Op>>(*context);
    math::LogOp::attachInterface<FunctionModel<LogRule, math::LogOp>>(*context);
    math::Log2Op::attachInterface<FunctionModel<Log2Rule, math::Log2Op>>(*context);
    math::Log1pOp::attachInterface<FunctionModel<Log1pRule, math::Log1pOp>>(*context);
    math::SqrtOp::attachInterface<FunctionModel<SqrtRule, math::SqrtOp>>(*context);
    math::RsqrtOp::attachInterface<FunctionModel<RsqrtRule, math::RsqrtOp>>(*context);
    math::TanhOp::attachInterface<FunctionModel<TanhRule, math::TanhOp>>(*context);
    math::SinOp::attachInterface<FunctionModel<SinRule, math::SinOp>>(*context);
    math::CosOp::attachInterface<FunctionModel<CosRule, math::CosOp>>(*context);
    math::ErfOp::attachInterface<FunctionModel<ErfRule, math::ErfOp>>(*context);
    math::AbsFOp::attachInterface<FunctionModel<AbsRule, math::AbsFOp>>(*context);
  });
  registry.addExtension(
      +[](MLIRContext *context, tensor::TensorDialect *) { tensor::CastOp::attachInterface<CastModel>(*context); });
}
