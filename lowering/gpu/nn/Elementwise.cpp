//===- Elementwise.cpp - linalg ops and copies over the threads of a block ===//
//
// A thread takes 16 bytes at a time where the shapes allow it: accesses are what these ops cost.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "lowering/gpu/Emitters.h"
#include "lowering/gpu/block/Alignment.h"

#include "lowering/emit/RoutingBuilder.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// The position with number `flat` in a space of these bounds, row-major.
static Values delinearize(LoopBuilder &b, Value flat, ArrayRef<Value> bounds) {
  Values at(bounds.size());
  for (size_t i = bounds.size(); i-- > 0;) {
    at[i] = i == 0 ? flat : b.rem(flat, bounds[i]);
    if (i > 0)
      flat = b.div(flat, bounds[i]);
  }
  return at;
}

static Value product(LoopBuilder &b, ArrayRef<Value> bounds) {
  Value total = b.index(1);
  for (Value bound : bounds)
    total = b.mul(total, bound);
  return total;
}

/// Whether the product of the bounds is known to fit an i32: a division of 64 bits costs several times one of 32.
static bool fitsI32(ArrayRef<Value> bounds) {
  int64_t total = 1;
  for (Value bound : bounds) {
    auto most = ValueBoundsConstraintSet::computeConstantBound(presburger::BoundType::UB, bound,
                                                               /*stopCondition=*/nullptr, /*closedUB=*/true);
    if (failed(most) || *most < 0 || *most > std::numeric_limits<int32_t>::max())
      return false;
    total *= std::max<int64_t>(*most, 1);
    if (total > std::numeric_limits<int32_t>::max())
      return false;
  }
  return true;
}

void device::forElements(BlockBuilder &b, ArrayRef<Value> bounds, int64_t lanes,
                         llvm::function_ref<void(ArrayRef<Value>)> body) {
  if (bounds.empty())
    return b.onOneThread([&] { body({}); });
  Values steps(bounds);
  steps.back() = b.div(bounds.back(), b.index(lanes));
  if (std::optional<int64_t> size = getConstantIntValue(bounds.back()))
    steps.back() = b.index(*size / lanes);
  bool narrow = bounds.size() > 1 && fitsI32(bounds);
  Values sizes = narrow ? llvm::map_to_vector(steps, [&](Value size) { return b.toI32(size); }) : steps;
  b.forThreads(product(b, steps), [&](Value flat) {
    Values at = delinearize(b, narrow ? b.toI32(flat) : flat, sizes);
    for (Value &position : at)
      position = b.toIndex(position);
    at.back() = b.mul(at.back(), b.index(lanes));
    body(at);
  });
}

//===----------------------------------------------------------------------===//
// linalg
//===----------------------------------------------------------------------===//

namespace {
/// The code of an elementwise op at one point, or at several neighbours along the innermost dimension.
class Point {
public:
  Point(BlockBuilder &b, linalg::LinalgOp op, ArrayRef<Value> at, int64_t lanes) : b(b), op(op), at(at), lanes(lanes) {}
  void emit();

private:
  Values positionOf(OpOperand &operand);
  Value indexOf(linalg::IndexOp index, int64_t lane);
  Values load(OpOperand &operand);

  BlockBuilder &b;
  linalg::LinalgOp op;
  ArrayRef<Value> at;
  int64_t lanes;
};
} // namespace

Values Point::positionOf(OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  return llvm::map_to_vector(map.getResults(), [&](AffineExpr result) -> Value {
    return affine::makeComposedAffineApply(b, b.getLoc(), AffineMap::get(map.getNumDims(), 0, result),
                                           getAsOpFoldResult(ValueRange(at)));
  });
}

/// Where a neighbour stands in one of the loops.
Value Point::indexOf(linalg::IndexOp index, int64_t lane) {
  bool innermost = index.getDim() + 1 == op.getNumLoops();
  return innermost && lane > 0 ? b.add(at[index.getDim()], b.index(lane)) : at[index.getDim()];
}

/// The operand's scalar for each of the neighbours.
Values Point::load(OpOperand &operand) {
  Value buffer = operand.get();
  if (!isa<MemRefType>(buffer.getType()))
    return Values(lanes, buffer);
  AffineMap map = op.getMatchingIndexingMap(&operand);
  if (lanes == 1 || !map.isFunctionOfDim(map.getNumDims() - 1))
    return Values(lanes, memref::LoadOp::create(b, buffer, positionOf(operand)));
  Value wide = b.loadWide(buffer, positionOf(operand), lanes);
  Values parts;
  for (int64_t i = 0; i < lanes; ++i)
    parts.push_back(vector::ExtractOp::create(b, wide, i));
  return parts;
}

void Point::emit() {
  Block &body = op->getRegion(0).front();
  SmallVector<IRMapping> mappings(lanes);
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = body.getArgument(operand.getOperandNumber());
    if (argument.use_empty())
      continue;
    for (auto [mapping, value] : llvm::zip(mappings, load(operand)))
      mapping.map(argument, value);
  }
  for (auto [lane, mapping] : llvm::enumerate(mappings))
    for (Operation &nested : body.without_terminator())
      if (auto index = dyn_cast<linalg::IndexOp>(nested))
        mapping.map(index.getResult(), indexOf(index, int64_t(lane)));
      else
        b.clone(nested, mapping);
  for (auto [i, yielded] : llvm::enumerate(body.getTerminator()->getOperands())) {
    OpOperand &result = *op.getDpsInitOperand(i);
    Values parts =
        llvm::map_to_vector(mappings, [&, value = yielded](IRMapping &m) { return m.lookupOrDefault(value); });
    if (lanes == 1)
      memref::StoreOp::create(b, parts[0], result.get(), positionOf(result));
    else
      b.store(vector::FromElementsOp::create(b, VectorType::get({lanes}, yielded.getType()), parts), result.get(),
              positionOf(result));
  }
}

/// Elements in 16 bytes of the widest of these buffers.
static int64_t lanesOf(ArrayRef<Value> buffers) {
  unsigned widest = 1;
  for (Value buffer : buffers) {
    auto type = dyn_cast<MemRefType>(buffer.getType());
    if (type && !type.getElementType().isIntOrFloat())
      return 1;
    widest = std::max(widest, type ? type.getElementTypeBitWidth() : 0);
  }
  // Elements of less than a byte have no address.
  return widest < 8 ? 1 : std::max<int64_t>(128 / widest, 1);
}

/// How many neighbours along the innermost dimension one access may take.
static int64_t getLanes(linalg::LinalgOp op, ArrayRef<Value> bounds) {
  SmallVector<Value> operands(op->getOperands());
  int64_t lanes = lanesOf(operands);
  std::optional<int64_t> innermost = bounds.empty() ? std::nullopt : getConstantIntValue(bounds.back());
  if (!innermost || *innermost % lanes != 0 || op.getNumParallelLoops() != op.getNumLoops())
    return 1;
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type)
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    unsigned last = map.getNumDims() - 1;
    if (!map.isFunctionOfDim(last)) {
      if (op.isDpsInit(&operand))
        return 1;
      continue;
    }
    bool along = map.getResults().back() == getAffineDimExpr(last, op.getContext()) &&
                 llvm::none_of(map.getResults().drop_back(), [&](AffineExpr e) { return e.isFunctionOfDim(last); });
    if (!along || type.getElementTypeBitWidth() < 8 || !hasAlignedRows(operand.get(), lanes))
      return 1;
  }
  return lanes;
}

namespace {
struct LowerLinalg : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    auto launch = op->getParentOfType<gpu::LaunchOp>();
    if (!launch || op->getNumResults() != 0)
      return rewriter.notifyMatchFailure(op, "not in buffer form inside a launch");
    BlockBuilder b(rewriter, op.getLoc(), launch);
    // Parallel dimensions are spread over the threads; what is reduced stays within one.
    Values parallel, reduced;
    SmallVector<bool> isParallel;
    for (auto [range, kind] : llvm::zip(op.createLoopRanges(b, op.getLoc()), op.getIteratorTypesArray())) {
      isParallel.push_back(kind == utils::IteratorType::parallel);
      (isParallel.back() ? parallel : reduced).push_back(getValueOrCreateConstantIndexOp(b, op.getLoc(), range.size));
    }
    int64_t lanes = getLanes(op, parallel);
    forElements(b, parallel, lanes, [&](ArrayRef<Value> outer) {
      nest(b, reduced, [&](ArrayRef<Value> inner) {
        Values at;
        size_t p = 0, r = 0;
        for (bool here : isParallel)
          at.push_back(here ? outer[p++] : inner[r++]);
        Point(b, op, at, lanes).emit();
      });
    });
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerCopy : OpRewritePattern<memref::CopyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(memref::CopyOp op, PatternRewriter &rewriter) const override {
    auto launch = op->getParentOfType<gpu::LaunchOp>();
    if (!launch)
      return rewriter.notifyMatchFailure(op, "outside of a launch");
    BlockBuilder b(rewriter, op.getLoc(), launch);
    Value source = op.getSource(), target = op.getTarget();
    Values bounds = dims(b, source, cast<MemRefType>(source.getType()).getRank());
    int64_t lanes = lanesOf({source, target});
    std::optional<int64_t> innermost = bounds.empty() ? std::nullopt : getConstantIntValue(bounds.back());
    if (!innermost || *innermost % lanes != 0 || !hasAlignedRows(source, lanes) || !hasAlignedRows(target, lanes))
      lanes = 1;
    forElements(b, bounds, lanes, [&](ArrayRef<Value> at) { b.store(b.loadWide(source, at, lanes), target, at); });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void device::populateElementwisePatterns(RewritePatternSet &patterns) {
  patterns.add<LowerLinalg, LowerCopy>(patterns.getContext());
}

/// Steps of the outermost loop that make up a tile's elements.
static int64_t tileRows(linalg::LinalgOp op) {
  int64_t row = 1;
  SmallVector<int64_t> loops = op.getStaticLoopRanges();
  for (int64_t trips : ArrayRef(loops).drop_front())
    row *= ShapedType::isDynamic(trips) ? 1 : std::max<int64_t>(trips, 1);
  return std::max<int64_t>(kTileElements / row, 1);
}

void device::addElementwise(Emitters &emitters) { emitters.elementwiseTiles(tileRows); }
