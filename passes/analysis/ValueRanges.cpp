//===- ValueRanges.cpp - what is known of integers at the graph level ----===//

#include "ValueRanges.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace peer;

bool peer::keepsElements(Operation *op) {
  auto graphOp = dyn_cast<GraphOpInterface>(op);
  return (graphOp && graphOp.isView()) ||
         isa<tensor::CastOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp, arith::ExtSIOp>(op);
}

ValueRanges::ValueRanges(func::FuncOp function) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto range = function.getArgAttrOfType<ArrayAttr>(i, attrs::kRange);
    unsigned width = ConstantIntRanges::getStorageBitwidth(function.getArgument(i).getType());
    if (!range || width == 0 || width > 64)
      continue;
    auto bound = [&](unsigned at, int64_t past) {
      int64_t least = llvm::minIntN(width), most = llvm::maxIntN(width);
      return APInt(width, std::clamp(cast<IntegerAttr>(range[at]).getInt() - past, least, most), /*isSigned=*/true);
    };
    known.try_emplace(function.getArgument(i), ConstantIntRanges::fromSigned(bound(0, 0), bound(1, 1)));
  }
}

ConstantIntRanges ValueRanges::of(Value value) const {
  auto found = known.find(value);
  return found != known.end() ? found->second
                              : ConstantIntRanges::maxRange(ConstantIntRanges::getStorageBitwidth(value.getType()));
}

void ValueRanges::visit(Operation *op) {
  auto inferable = dyn_cast<InferIntRangeInterface>(op);
  if ((keepsElements(op) || isa<tensor::ExtractSliceOp>(op)) && !inferable) {
    known.insert_or_assign(op->getResult(0), of(op->getOperand(0)));
    return;
  }
  if (!inferable)
    return;
  auto operands = llvm::map_to_vector(op->getOperands(), [&](Value operand) { return IntegerValueRange(of(operand)); });
  inferable.inferResultRangesFromOptional(operands, [&](Value result, const IntegerValueRange &range) {
    // A range that says nothing can be had for any value.
    if (!range.isUninitialized() && range.getValue().smin().getBitWidth() > 0)
      known.insert_or_assign(result, range.getValue());
  });
}
