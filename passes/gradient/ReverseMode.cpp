//===- ReverseMode.cpp - reverse mode over straight-line graph ops -------===//

#include "ReverseMode.h"

#include "dialect/PeerOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace peer;

bool peer::isDifferentiableType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return isa<FloatType>(tensor ? tensor.getElementType() : type);
}

Type peer::getGradientType(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getElementTypeBitWidth() >= 32)
    return tensor;
  return tensor.clone(Float32Type::get(type.getContext()));
}

Value peer::createZeroGradient(OpBuilder &builder, Value value) {
  auto type = cast<RankedTensorType>(getGradientType(value.getType()));
  TypedAttr zero = builder.getZeroAttr(type.getElementType());
  Location loc = value.getLoc();
  if (type.hasStaticShape())
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, zero));
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, value);
  Value empty = tensor::EmptyOp::create(builder, loc, sizes, type.getElementType());
  Value scalar = arith::ConstantOp::create(builder, loc, zero);
  return linalg::FillOp::create(builder, loc, scalar, empty).getResult(0);
}

namespace {

/// One run of reverse mode: which values depend on the inputs, and the gradient
/// that has flowed to each value so far.
class ReverseMode {
public:
  ReverseMode(OpBuilder &builder, ArrayRef<Value> inputs) : builder(builder), active(inputs.begin(), inputs.end()) {}

  LogicalResult run(ArrayRef<Value> outputs, ArrayRef<Value> seeds);
  Value getGradient(Value value) const { return gradients.lookup(value); }

private:
  void findActiveValues(ArrayRef<Operation *> ops);
  LogicalResult visit(Operation *op);
  void accumulate(Value value, Value gradient);

  OpBuilder &builder;
  /// Values that depend on an input through floating-point tensors.
  llvm::DenseSet<Value> active;
  llvm::DenseMap<Value, Value> gradients;
};

LogicalResult ReverseMode::run(ArrayRef<Value> outputs, ArrayRef<Value> seeds) {
  // The ops to walk are fixed before the first gradient is built among them.
  SmallVector<Operation *> ops;
  for (Operation &op : llvm::make_range(builder.getBlock()->begin(), builder.getInsertionPoint()))
    ops.push_back(&op);
  findActiveValues(ops);
  for (auto [output, seed] : llvm::zip_equal(outputs, seeds))
    if (seed && active.contains(output))
      accumulate(output, seed);
  for (Operation *op : llvm::reverse(ops))
    if (failed(visit(op)))
      return failure();
  return success();
}

void ReverseMode::findActiveValues(ArrayRef<Operation *> ops) {
  for (Operation *op : ops) {
    // Regions see values from outside without naming them as operands.
    bool depends = llvm::any_of(op->getOperands(), [&](Value v) { return active.contains(v); });
    if (!depends && op->getNumRegions() > 0)
      op->walk([&](Operation *inner) {
        depends |= llvm::any_of(inner->getOperands(), [&](Value v) { return active.contains(v); });
      });
    if (!depends)
      continue;
    for (Value result : op->getResults())
      if (isDifferentiableType(result.getType()))
        active.insert(result);
  }
}

LogicalResult ReverseMode::visit(Operation *op) {
  SmallVector<Value> resultGrads;
  for (Value result : op->getResults())
    resultGrads.push_back(active.contains(result) ? gradients.lookup(result) : Value());
  if (llvm::none_of(resultGrads, [](Value grad) { return bool(grad); }))
    return success(); // nothing flows through it
  auto differentiable = dyn_cast<DifferentiableOpInterface>(op);
  if (!differentiable)
    return op->emitError() << "op '" << op->getName() << "' has no gradient: implement peer::DifferentiableOpInterface";

  llvm::SmallBitVector wanted(op->getNumOperands());
  for (OpOperand &operand : op->getOpOperands())
    if (active.contains(operand.get()) && isDifferentiableType(operand.get().getType()))
      wanted.set(operand.getOperandNumber());
  SmallVector<Value> operandGrads(op->getNumOperands());
  if (failed(differentiable.buildGradient(builder, resultGrads, wanted, operandGrads)))
    return failure();
  for (unsigned i : wanted.set_bits())
    if (operandGrads[i])
      accumulate(op->getOperand(i), operandGrads[i]);
  return success();
}

void ReverseMode::accumulate(Value value, Value gradient) {
  Value &sum = gradients[value];
  sum = sum ? arith::AddFOp::create(builder, value.getLoc(), sum, gradient).getResult() : gradient;
}

} // namespace

LogicalResult peer::differentiate(OpBuilder &builder, ArrayRef<Value> outputs, ArrayRef<Value> seeds,
                                  ArrayRef<Value> inputs, SmallVectorImpl<Value> &gradients) {
  ReverseMode reverse(builder, inputs);
  if (failed(reverse.run(outputs, seeds)))
    return failure();
  for (Value input : inputs)
    gradients.push_back(reverse.getGradient(input));
  return success();
}
