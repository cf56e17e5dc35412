//===- DescriptionOps.cpp - ops in the functions of a description --------===//
//
// An op that computes sizes or positions at run time could reach beyond its
// operands. So sizes are static or taken from an operand, and positions are the
// business of peer ops, whose indices are guarded.
//
//===----------------------------------------------------------------------===//

#include "DescriptionOps.h"

#include "Description.h"
#include "DescriptionAttributes.h"
#include "dialect/PeerOps.h"
#include "dialect/interfaces/IndexNotation.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace peer;

namespace {

InFlightDiagnostic refuse(Operation *op) { return op->emitError() << "op '" << op->getName() << "' "; }

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

bool isKnownElement(Type type) {
  return type.isF32() || type.isBF16() || type.isF16() || type.isF64() || type.isSignlessInteger(1) ||
         type.isSignlessInteger(8) || type.isSignlessInteger(16) || type.isSignlessInteger(32) ||
         type.isSignlessInteger(64);
}

/// Why no value can have this type; empty where one can. `computed`: values that are not only passed on and read by our own ops, which
/// alone know fp8.
std::string findFault(Type type, bool computed = false) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return "a tensor with known dimensions";
  if (tensor.getEncoding())
    return "a tensor without an encoding";
  Type element = tensor.getElementType();
  if (!isKnownElement(element) && (computed || !isa<Float8E4M3FNType>(element)))
    return computed ? "a tensor of f32, bf16, f16, f64, i1, i8, i16, i32 or i64"
                    : "a tensor of f32, bf16, f16, f64, f8E4M3FN, i1, i8, i16, i32 or i64";
  // Bytes are counted in 64 bits, those of all tokens.
  constexpr int64_t kMostElements = int64_t(1) << 40;
  int64_t elements = 1;
  for (int64_t size : tensor.getShape()) {
    // Loops over nothing and means of nothing are what no model means.
    if (size == 0)
      return "a tensor whose dimensions are '?' or at least 1";
    if (ShapedType::isDynamic(size))
      continue;
    if (size > kMostElements / elements)
      return "a tensor of at most 2^40 elements";
    elements *= size;
  }
  // What integers choose, expert by expert and token by token, is numbered in 32 bits.
  if (tensor.hasStaticShape() && tensor.getElementType().isInteger(32) &&
      elements > std::numeric_limits<int32_t>::max())
    return "a tensor of at most 2^31 - 1 integers";
  return "";
}

/// Checks the types of all values of an op; scalars may be among them where `scalars`.
LogicalResult checkTypes(Operation *op, bool scalars) {
  bool computed = !isa<func::CallOp>(op) && !isa_and_nonnull<PeerDialect>(op->getDialect());
  for (Type type : llvm::concat<const Type>(op->getOperandTypes(), op->getResultTypes())) {
    if (scalars && isKnownElement(type))
      continue;
    if (std::string fault = findFault(type, computed); !fault.empty())
      return op->emitError() << "expected a value of op '" << op->getName() << "' to be " << fault << ", got " << type;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Our own ops
//===----------------------------------------------------------------------===//

/// Whether all operands agree on which loops of an op run over the tokens.
LogicalResult checkLoops(GraphOpInterface op) {
  IndexNotation notation = IndexNotation::of(op);
  SmallVector<std::optional<bool>> dynamic(notation.loops.size());
  for (auto [operand, dims] : llvm::zip(op->getOperands(), notation.inputs))
    for (auto [dim, size] : llvm::zip(dims, cast<ShapedType>(operand.getType()).getShape())) {
      // A dimension of 1 may be broadcast.
      if (dim.loop < 0 || size == 1)
        continue;
      bool here = ShapedType::isDynamic(size);
      std::optional<bool> &known = dynamic[dim.loop];
      if (known.value_or(here) != here)
        return refuse(op) << "has '?' rows in one operand and a number of rows in another; write '?' in both";
      known = here;
    }
  return success();
}

LogicalResult checkPeerOp(Operation *op) {
  if (!isDescriptionOp(op))
    return refuse(op) << "is for passes to make, not for a description; peer.gradient, peer.train and peer.decode ask "
                         "for gradients, updates and caches";
  if (failed(checkTypes(op, /*scalars=*/false)))
    return failure();
  if (auto norm = dyn_cast<BatchNormOp>(op); norm && norm.getBatchStatistics())
    return refuse(op)
           << "has the attribute 'batch_statistics', which peer.train sets where it takes them; leave it out";
  if (auto dropout = dyn_cast<DropoutOp>(op); dropout && (dropout.getSeed() || dropout.getPlace() != 0))
    return refuse(op) << "has a seed or a place, which peer.train gives it; leave them out";
  auto graph = dyn_cast<GraphOpInterface>(op);
  if (!graph)
    return success();
  if (std::string why = graph.rejectOrigins(); !why.empty())
    return refuse(op) << why;
  if (!graph.getOutsMutable().empty())
    return refuse(op) << "has 'outs', which passes give it; leave them out";
  SmallVector<Type> inferred;
  if (failed(cast<InferTypeOpInterface>(op).inferReturnTypes(op->getContext(), op->getLoc(), op->getOperands(),
                                                             op->getDiscardableAttrDictionary(),
                                                             op->getPropertiesStorage(), op->getRegions(), inferred)))
    return failure();
  for (auto [wanted, given] : llvm::zip_equal(inferred, op->getResultTypes()))
    if (wanted != given)
      return refuse(op) << "returns " << wanted << ", not " << given;
  return checkLoops(graph);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

/// Whether every value of a constant passes.
bool allConstant(Value value, function_ref<bool(const APInt &)> passes) {
  DenseIntElementsAttr elements;
  if (matchPattern(value, m_Constant(&elements)))
    return llvm::all_of(elements.getValues<APInt>(), passes);
  IntegerAttr number;
  return matchPattern(value, m_Constant(&number)) && passes(number.getValue());
}

/// What has no result for some operands: code may trap there, or do as it likes.
LogicalResult checkDefined(Operation *op) {
  if (auto flags = dyn_cast<arith::ArithIntegerOverflowFlagsInterface>(op))
    if (flags.hasNoSignedWrap() || flags.hasNoUnsignedWrap())
      return refuse(op) << "promises that it does not overflow, which nothing checks; leave 'overflow<...>' out";
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::CeilDivSIOp, arith::CeilDivUIOp,
          arith::FloorDivSIOp>(op)) {
    auto divides = [](const APInt &divisor) { return !divisor.isZero() && !divisor.isAllOnes(); };
    if (!allConstant(op->getOperand(1), divides))
      return refuse(op) << "divides by what may be 0 or -1, which has no result; divide by another constant";
  }
  if (isa<arith::ShLIOp, arith::ShRSIOp, arith::ShRUIOp>(op)) {
    auto shifts = [](const APInt &distance) { return distance.ult(distance.getBitWidth()); };
    if (!allConstant(op->getOperand(1), shifts))
      return refuse(op) << "shifts by what may be more than the bits there are; shift by a constant";
  }
  return success();
}

/// An op on every element, or on scalars.
LogicalResult checkElementwise(Operation *op) {
  return success(succeeded(checkTypes(op, /*scalars=*/true)) && succeeded(checkDefined(op)));
}

LogicalResult checkConstant(arith::ConstantOp op) {
  if (!isa<RankedTensorType>(op.getType()) && (isKnownElement(op.getType()) || op.getType().isIndex()))
    return success();
  if (!isa<DenseElementsAttr>(op.getValue()))
    return refuse(op) << "has a value of the wrong kind; write it as dense<...>";
  return checkTypes(op, /*scalars=*/false);
}

//===----------------------------------------------------------------------===//
// Upstream's tensors
//===----------------------------------------------------------------------===//

LogicalResult checkEmpty(tensor::EmptyOp op) {
  for (Value size : op.getDynamicSizes())
    if (!size.getDefiningOp<tensor::DimOp>())
      return refuse(op) << "has a computed size; take it from an operand by tensor.dim";
  if (std::string fault = findFault(op.getType(), /*computed=*/true); !fault.empty())
    return op.emitError() << "expected the result of op 'tensor.empty' to be " << fault << ", got " << op.getType();
  return success();
}

LogicalResult checkDim(tensor::DimOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getSource().getType());
  std::optional<int64_t> dim = op.getConstantIndex();
  if (!type || !dim || *dim < 0 || *dim >= type.getRank())
    return refuse(op) << "wants the number of a dimension that its operand has, as a constant";
  return success();
}

/// A slice takes all of a dimension, or static numbers of it, which its verifier has checked.
LogicalResult checkSlice(tensor::ExtractSliceOp op) {
  if (!isKnownElement(op.getType().getElementType()) || op.getType().getEncoding())
    return refuse(op) << "cannot work on " << op.getType();
  RankedTensorType source = op.getSourceType();
  auto isWhole = [&](unsigned dim, OpFoldResult size) {
    auto value = dyn_cast<Value>(size);
    auto taken = value ? value.getDefiningOp<tensor::DimOp>() : tensor::DimOp();
    return taken && taken.getSource() == op.getSource() && taken.getConstantIndex() == int64_t(dim);
  };
  for (auto [i, sizes] :
       llvm::enumerate(llvm::zip_equal(op.getMixedOffsets(), op.getMixedSizes(), op.getMixedStrides()))) {
    auto [from, count, step] = sizes;
    std::optional<int64_t> offset = getConstantIntValue(from), size = getConstantIntValue(count),
                           stride = getConstantIntValue(step);
    if (!offset || !stride || *offset < 0 || *stride < 1)
      return refuse(op) << "has a computed position; positions are numbers";
    if (source.isDynamicDim(i) ? *offset != 0 || *stride != 1 || !isWhole(i, count) : !size)
      return refuse(op)
             << "has a computed size; a dimension of '?' is taken whole, by its tensor.dim, others by numbers";
  }
  return success();
}

/// A structured op walks its operands by projections of its loops, all of which agree on the sizes of loops.
LogicalResult checkStructured(linalg::LinalgOp op) {
  if (failed(checkTypes(op, /*scalars=*/true)))
    return failure();
  SmallVector<std::optional<int64_t>> sizes(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type)
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (!map.isProjectedPermutation())
      return refuse(op) << "has an indexing map that is no projection of its loops: " << AffineMapAttr::get(map);
    for (auto [result, size] : llvm::zip_equal(map.getResults(), type.getShape())) {
      std::optional<int64_t> &known = sizes[cast<AffineDimExpr>(result).getPosition()];
      if (known.value_or(size) != size)
        return refuse(op) << "walks operands of different sizes in one loop";
      known = size;
    }
  }
  WalkResult inner = op->walk([&](Operation *nested) {
    if (nested == op)
      return WalkResult::advance();
    bool fits = isa<linalg::YieldOp>(nested) || nested->hasTrait<OpTrait::ConstantLike>() ||
                (OpTrait::hasElementwiseMappableTraits(nested) && nested->getNumRegions() == 0);
    if (!fits)
      return refuse(nested) << "is not allowed in the region of op '" << op->getName() << "'", WalkResult::interrupt();
    return failed(checkDefined(nested)) ? WalkResult::interrupt() : WalkResult::advance();
  });
  return failure(inner.wasInterrupted());
}

/// What to write instead of some ops that people try.
StringRef findCure(Operation *op) {
  StringRef dialect = op->getName().getDialectNamespace();
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::ReshapeOp>(op))
    return "; peer.reshape gives another shape";
  if (isa<tensor::ExtractOp, tensor::GatherOp>(op))
    return "; peer.embedding takes rows by index";
  if (dialect == "scf" || dialect == "cf")
    return "; peer.repeat uses a block several times";
  if (dialect == "memref" || dialect == "bufferization")
    return "; its values are tensors";
  return "";
}

} // namespace

LogicalResult peer::checkPassedType(Location loc, const Twine &what, Type type) {
  std::string fault = findFault(type);
  auto shaped = dyn_cast<ShapedType>(type);
  if (fault.empty() && llvm::is_contained(shaped.getShape().drop_front(shaped.getRank() > 0), ShapedType::kDynamic))
    fault = "a tensor whose first dimension alone may be '?'";
  return fault.empty() ? success() : emitError(loc) << "expected " << what << " to be " << fault << ", got " << type;
}

LogicalResult peer::checkDescribedOp(Operation *op) {
  if (failed(checkAttributes(op)))
    return failure();
  if (isa<func::ReturnOp>(op))
    return success();
  if (isa<func::CallOp>(op))
    return checkTypes(op, /*scalars=*/false);
  if (isa_and_nonnull<PeerDialect>(op->getDialect()))
    return checkPeerOp(op);
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return checkConstant(constant);
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return checkEmpty(empty);
  if (auto dim = dyn_cast<tensor::DimOp>(op))
    return checkDim(dim);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return checkSlice(slice);
  if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    return checkStructured(structured);
  if (isa_and_nonnull<arith::ArithDialect, math::MathDialect>(op->getDialect()) &&
      OpTrait::hasElementwiseMappableTraits(op))
    return checkElementwise(op);
  return refuse(op) << "cannot stand in a description, which is made of peer ops, elementwise ops of arith and math on "
                       "tensors, and structured ops of linalg"
                    << findCure(op);
}
