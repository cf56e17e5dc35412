//===- GuardIndices.cpp - no index reaches beyond what it indexes --------===//

#include "Checks.h"
#include "Passes.h"
#include "passes/analysis/TokenCounts.h"
#include "passes/analysis/ValueRanges.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_GUARDINDICES
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// An index that was clamped to a range, and how many values that changed (a rank-0 f32).
struct Guard {
  Value clamped, count;
};

class FunctionGuard {
public:
  explicit FunctionGuard(func::FuncOp function) : function(function), ranges(function) {}
  LogicalResult run();

private:
  LogicalResult guardOperand(OpOperand &operand, IndexRange range);
  Guard clamp(OpBuilder &builder, Location loc, Value index, IndexRange range);
  LogicalResult followSort(RowGradOpInterface op);
  Value vetoing(OpBuilder &builder, Location loc);
  void veto(OpOperand &scale);

  func::FuncOp function;
  ValueRanges ranges;
  llvm::DenseMap<std::pair<Value, IndexRange>, Guard> guards;
  Value counted; ///< of all guards so far
};

std::string text(IndexRange range) {
  return "[" + std::to_string(range.first) + ", " + std::to_string(range.second) + ")";
}

Guard FunctionGuard::clamp(OpBuilder &builder, Location loc, Value index, IndexRange range) {
  auto type = cast<RankedTensorType>(index.getType());
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, index);
  RankedTensorType flags = type.clone(builder.getF32Type());
  SmallVector<Value> outs = {tensor::EmptyOp::create(builder, loc, sizes, type.getElementType()),
                             tensor::EmptyOp::create(builder, loc, sizes, flags.getElementType())};
  SmallVector<AffineMap> maps(3, builder.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  auto generic =
      linalg::GenericOp::create(builder, loc, TypeRange{type, flags}, index, outs, maps, loops,
                                [&](OpBuilder &b, Location loc, ValueRange values) {
                                  auto integer = cast<IntegerType>(type.getElementType());
                                  auto constant = [&](int64_t value) -> Value {
                                    return arith::ConstantOp::create(b, loc, b.getIntegerAttr(integer, value));
                                  };
                                  int64_t most = std::min(range.second - 1, llvm::maxIntN(integer.getWidth()));
                                  Value raised = arith::MaxSIOp::create(b, loc, values[0], constant(range.first));
                                  Value inside = arith::MinSIOp::create(b, loc, raised, constant(most));
                                  Value changed =
                                      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, inside, values[0]);
                                  Value flag = arith::UIToFPOp::create(b, loc, b.getF32Type(), changed);
                                  linalg::YieldOp::create(b, loc, ValueRange{inside, flag});
                                });
  Value count = generic.getResult(1);
  // Squares of ones and zeros are their own.
  if (rank > 0)
    count = SumSquaresOp::create(builder, loc, count, ValueRange()).getSquares();
  return {generic.getResult(0), count};
}

LogicalResult FunctionGuard::guardOperand(OpOperand &operand, IndexRange range) {
  Operation *op = operand.getOwner();
  ConstantIntRanges known = ranges.of(operand.get());
  if (known.smin().getSExtValue() >= range.first && known.smax().getSExtValue() < range.second)
    return success();
  if (range.first >= range.second)
    return op->emitError() << "op '" << op->getName()
                           << "' takes indices, and there is nothing to index: no value lies in " << text(range);
  auto [found, isNew] = guards.try_emplace({operand.get(), range});
  if (isNew) {
    OpBuilder builder(op);
    found->second = clamp(builder, op->getLoc(), operand.get(), range);
    std::string place = describePlace(op), what = op->getName().getStringRef().str();
    appendCheck(function, found->second.count,
                describeCheck(builder, place.empty() ? what : what + " (" + place + ")", range));
    Value count = found->second.count;
    counted = counted ? arith::AddFOp::create(builder, op->getLoc(), counted, count).getResult() : count;
  }
  operand.set(found->second.clamped);
  return success();
}

/// Pairs, segments and counts of a row-sparse gradient are trusted where they were sorted here, from the same indices.
LogicalResult FunctionGuard::followSort(RowGradOpInterface op) {
  auto sort = op.getOrder().getDefiningOp<SortPairsOp>();
  if (!sort || op.getOrder() != sort.getOrder() || op.getStarts() != sort.getStarts() ||
      op.getCount() != sort.getCount())
    return op->emitError() << "op '" << op->getName() << "' must get order, starts and count from one peer.sort_pairs";
  // The sort's indices may have been clamped.
  OpOperand &idx = op.getIdxMutable();
  auto clamped = guards.find({idx.get(), IndexRange(-1, sort.getNumExperts())});
  if (clamped != guards.end() && clamped->second.clamped == sort.getIdx())
    idx.set(sort.getIdx());
  if (idx.get() != sort.getIdx())
    return op->emitError() << "op '" << op->getName()
                           << "' must get the indices, and their range, that its peer.sort_pairs has";
  return success();
}

/// NaN where a count is above 0: its negative has no root.
Value FunctionGuard::vetoing(OpBuilder &builder, Location loc) {
  return math::SqrtOp::create(builder, loc, arith::NegFOp::create(builder, loc, counted));
}

void FunctionGuard::veto(OpOperand &scale) {
  if (!counted)
    return;
  OpBuilder builder(scale.getOwner());
  Location loc = scale.getOwner()->getLoc();
  scale.set(arith::AddFOp::create(builder, loc, scale.get(), vetoing(builder, loc)));
}

LogicalResult FunctionGuard::run() {
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
    for (OpOperand &operand : op.getOpOperands())
      if (std::optional<IndexRange> range = getIndexRange(operand))
        if (failed(guardOperand(operand, *range)))
          return failure();
    if (auto grad = dyn_cast<RowGradOpInterface>(op); grad && failed(followSort(grad)))
      return failure();
    if (auto update = dyn_cast<UpdateOpInterface>(op))
      veto(update.getScaleMutable());
    if (auto usage = dyn_cast<UsageOp>(op); usage && counted) {
      OpBuilder builder(&op);
      usage.getWeightsMutable().assign(
          zeroIfVetoed(builder, op.getLoc(), usage.getWeights(), vetoing(builder, op.getLoc())));
    }
    ranges.visit(&op);
  }
  return success();
}

/// More tokens than can be numbered are refused when the entry is called, fewer than one here.
LogicalResult limitTokens(func::FuncOp function) {
  int64_t most = TokenCounts(function).mostTokens();
  if (most == std::numeric_limits<int32_t>::max())
    return success();
  if (most == 0)
    return function.emitError() << "entry @" << function.getName()
                                << " has more rows or indices for one token than 32 bits can number";
  if (auto given = function->getAttrOfType<IntegerAttr>(attrs::kMaxTokens))
    most = std::min(most, given.getInt());
  function->setAttr(attrs::kMaxTokens, Builder(function).getI64IntegerAttr(most));
  return success();
}

struct GuardIndicesPass : peer::impl::GuardIndicesBase<GuardIndicesPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || !function.getBody().hasOneBlock())
      return;
    if (failed(FunctionGuard(function).run()) || failed(limitTokens(function)))
      signalPassFailure();
  }
};

} // namespace
