//===- StructuredGradient.cpp - gradients of linalg.generic --------------===//
//
// Derived from the body: for each operand a loop nest that runs the body again and then backwards, on scalars, by the rules
// that tensors have. What an operand is not walked by is summed up.
//
//===----------------------------------------------------------------------===//

#include "StructuredGradient.h"

#include "ReverseMode.h"

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace peer;
using utils::IteratorType;

namespace {

/// y[out] = e(ins), or y[out] = init[out] + sum of e(ins).
struct StructuredOp {
  linalg::GenericOp op;
  Value term; // e
  bool sums = false;
  bool readsInit = false; // as one more input of e

  LogicalResult parse();
  FailureOr<Value> gradientOf(OpBuilder &builder, OpOperand &operand, Value dy);

private:
  AffineMap outMap() { return op.getMatchingIndexingMap(op.getDpsInitOperand(0)); }
};

LogicalResult StructuredOp::parse() {
  auto refuse = [&](const Twine &why) -> LogicalResult { return op.emitError() << "op 'linalg.generic' " << why; };
  if (op->getNumResults() != 1)
    return refuse("has several results; a gradient is derived for one");
  AffineMap out = outMap();
  for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    sums |= kind != IteratorType::parallel;
    if (kind == IteratorType::parallel && !out.isFunctionOfDim(dim))
      return refuse("has a parallel loop that its result lacks, and no gradient");
  }
  Block &body = op.getRegion().front();
  Value yielded = body.getTerminator()->getOperand(0), sum = body.getArguments().back();
  term = yielded;
  readsInit = !sums && !sum.use_empty();
  if (!sums)
    return success();
  auto add = yielded.getDefiningOp<arith::AddFOp>();
  if (!add || !sum.hasOneUse() || (add.getLhs() != sum && add.getRhs() != sum))
    return refuse("reduces by something other than a sum, of which no gradient is derived; peer.reduce has one of max");
  term = add.getLhs() == sum ? add.getRhs() : add.getLhs();
  return success();
}

FailureOr<Value> StructuredOp::gradientOf(OpBuilder &builder, OpOperand &operand, Value dy) {
  Location loc = op.getLoc();
  if (sums && op.isDpsInit(&operand))
    return dy;
  AffineMap map = op.getMatchingIndexingMap(&operand), out = outMap();
  Block &body = op.getRegion().front();
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  SmallVector<BlockArgument> arguments;
  for (OpOperand &input : op->getOpOperands()) {
    if (op.isDpsInit(&input) && !readsInit)
      continue;
    inputs.push_back(input.get());
    maps.push_back(op.getMatchingIndexingMap(&input));
    arguments.push_back(body.getArgument(input.getOperandNumber()));
  }
  inputs.push_back(dy);
  maps.append({out, map});
  SmallVector<IteratorType> kinds;
  for (unsigned dim = 0; dim < op.getNumLoops(); ++dim)
    kinds.push_back(map.isFunctionOfDim(dim) ? IteratorType::parallel : IteratorType::reduction);
  bool reduces = llvm::is_contained(kinds, IteratorType::reduction);

  auto type = cast<RankedTensorType>(getGradientType(operand.get().getType()));
  Value init = reduces ? createZeroGradient(builder, operand.get())
                       : tensor::EmptyOp::create(builder, loc, tensor::getMixedSizes(builder, loc, operand.get()),
                                                 type.getElementType())
                             .getResult();
  bool hasGradient = true;
  auto build = [&](OpBuilder &inner, Location, ValueRange args) {
    IRMapping mapping;
    mapping.map(arguments, args.take_front(arguments.size()));
    for (Operation &nested : body.without_terminator())
      // The sum itself is no part of the term.
      if (!sums || nested.getResult(0) != body.getTerminator()->getOperand(0))
        inner.clone(nested, mapping);
    SmallVector<Value> gradients;
    Value seed = args[arguments.size()], at = mapping.lookup(Value(body.getArgument(operand.getOperandNumber())));
    LogicalResult derived = differentiate(inner, {mapping.lookupOrDefault(term)}, {seed}, {at}, gradients);
    Value gradient = succeeded(derived) ? gradients.front() : Value();
    hasGradient &= succeeded(derived);
    if (!gradient)
      gradient = arith::ConstantOp::create(inner, loc, inner.getZeroAttr(type.getElementType()));
    if (reduces)
      gradient = arith::AddFOp::create(inner, loc, args.back(), gradient);
    linalg::YieldOp::create(inner, loc, gradient);
  };
  auto gradient =
      linalg::GenericOp::create(builder, loc, TypeRange{init.getType()}, inputs, ValueRange{init}, maps, kinds, build);
  if (!hasGradient)
    return failure();
  return gradient.getResult(0);
}

struct GenericModel : DifferentiableOpInterface::ExternalModel<GenericModel, linalg::GenericOp> {
  LogicalResult buildGradient(Operation *op, OpBuilder &builder, ArrayRef<Value> resultGrads,
                              const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) const {
    StructuredOp structured{cast<linalg::GenericOp>(op)};
    if (failed(structured.parse()))
      return failure();
    for (unsigned i : wanted.set_bits()) {
      OpOperand &operand = op->getOpOperand(i);
      if (structured.op.isDpsInit(&operand) && !structured.sums && !structured.readsInit)
        continue;
      FailureOr<Value> gradient = structured.gradientOf(builder, operand, resultGrads[0]);
      if (failed(gradient))
        return failure();
      operandGrads[i] = *gradient;
    }
    return success();
  }
};

} // namespace

void peer::registerStructuredGradients(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    linalg::GenericOp::attachInterface<GenericModel>(*context);
  });
}
