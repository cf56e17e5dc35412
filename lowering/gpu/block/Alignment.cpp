//===- Alignment.cpp - how many elements one access may take -------------===//

#include "Alignment.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace peer;

/// Whether an index is surely a multiple of `n`.
static bool isMultiple(OpFoldResult value, int64_t n) {
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return *constant % n == 0;
  Operation *op = cast<Value>(value).getDefiningOp();
  if (auto product = dyn_cast_or_null<arith::MulIOp>(op))
    return isMultiple(product.getLhs(), n) || isMultiple(product.getRhs(), n);
  if (auto sum = dyn_cast_or_null<arith::AddIOp>(op))
    return isMultiple(sum.getLhs(), n) && isMultiple(sum.getRhs(), n);
  if (auto apply = dyn_cast_or_null<affine::AffineApplyOp>(op))
    return apply.getAffineMap().getResult(0).isMultipleOf(n);
  return false;
}

/// Whether the buffer's first element lies at a multiple of `n` elements.
static bool hasAlignedStart(Value buffer, int64_t n) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return false;
  if (!ShapedType::isDynamic(offset))
    return offset % n == 0;
  Operation *op = buffer.getDefiningOp();
  if (auto cast = dyn_cast_or_null<memref::CastOp>(op))
    return hasAlignedStart(cast.getSource(), n);
  if (auto collapse = dyn_cast_or_null<memref::CollapseShapeOp>(op))
    return hasAlignedStart(collapse.getSrc(), n);
  if (auto expand = dyn_cast_or_null<memref::ExpandShapeOp>(op))
    return hasAlignedStart(expand.getSrc(), n);
  auto subview = dyn_cast_or_null<memref::SubViewOp>(op);
  if (!subview || !hasAlignedStart(subview.getSource(), n) ||
      failed(subview.getSourceType().getStridesAndOffset(strides, offset)))
    return false;
  return llvm::all_of(llvm::zip(subview.getMixedOffsets(), strides), [&](auto pair) {
    auto [position, stride] = pair;
    return (!ShapedType::isDynamic(stride) && stride % n == 0) || isMultiple(position, n);
  });
}

bool device::hasAlignedRows(Value buffer, int64_t elements) {
  if (elements == 1)
    return true;
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(cast<MemRefType>(buffer.getType()).getStridesAndOffset(strides, offset)) || strides.empty() ||
      strides.back() != 1)
    return false;
  bool rows = llvm::all_of(ArrayRef(strides).drop_back(),
                           [&](int64_t stride) { return !ShapedType::isDynamic(stride) && stride % elements == 0; });
  return rows && hasAlignedStart(buffer, elements);
}

int64_t device::alignedLanes(Operation *op, int64_t size) {
  constexpr int64_t kLanes = 4;
  if (size % kLanes != 0)
    return 1;
  bool aligned = llvm::all_of(op->getOperands(), [&](Value operand) {
    auto type = dyn_cast<MemRefType>(operand.getType());
    bool isRow = type && type.getRank() > 0 && isa<FloatType>(type.getElementType()) && type.getShape().back() == size;
    return !isRow || hasAlignedRows(operand, kLanes);
  });
  return aligned ? kLanes : 1;
}
