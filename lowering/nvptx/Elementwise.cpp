//===- Elementwise.cpp - linalg ops and copies over the threads of a block ===//

#include "Kernels.h"

#include "lowering/RoutingBuilder.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

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

/// The scalar of an operand at one point of the iteration space.
static Value emitOperand(BlockBuilder &b, linalg::LinalgOp op, OpOperand &operand, ArrayRef<Value> at,
                         bool store = false, Value value = {}) {
  if (!isa<MemRefType>(operand.get().getType()))
    return operand.get();
  Values position;
  AffineMap map = op.getMatchingIndexingMap(&operand);
  for (AffineExpr result : map.getResults())
    position.push_back(affine::makeComposedAffineApply(b, b.getLoc(), AffineMap::get(map.getNumDims(), 0, result),
                                                       getAsOpFoldResult(ValueRange(at))));
  if (!store)
    return memref::LoadOp::create(b, operand.get(), position);
  memref::StoreOp::create(b, value, operand.get(), position);
  return {};
}

/// The body of the op at one point: loads, the region, stores.
static void emitPoint(BlockBuilder &b, linalg::LinalgOp op, ArrayRef<Value> at) {
  IRMapping mapping;
  Block &body = op->getRegion(0).front();
  for (OpOperand &operand : op->getOpOperands())
    if (!body.getArgument(operand.getOperandNumber()).use_empty())
      mapping.map(body.getArgument(operand.getOperandNumber()), emitOperand(b, op, operand, at));
  for (Operation &nested : body.without_terminator())
    b.clone(nested, mapping);
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands()))
    emitOperand(b, op, *op.getDpsInitOperand(i), at, /*store=*/true, mapping.lookupOrDefault(value));
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
    Values parallel, reduced, bounds;
    SmallVector<bool> isParallel;
    for (auto [range, kind] : llvm::zip(op.createLoopRanges(b, op.getLoc()), op.getIteratorTypesArray())) {
      bounds.push_back(getValueOrCreateConstantIndexOp(b, op.getLoc(), range.size));
      isParallel.push_back(kind == utils::IteratorType::parallel);
      (isParallel.back() ? parallel : reduced).push_back(bounds.back());
    }
    b.forThreads(product(b, parallel), [&](Value flat) {
      Values outer = delinearize(b, flat, parallel);
      nest(b, reduced, [&](ArrayRef<Value> inner) {
        Values at;
        size_t p = 0, r = 0;
        for (bool here : isParallel)
          at.push_back(here ? outer[p++] : inner[r++]);
        emitPoint(b, op, at);
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
    Values bounds = dims(b, op.getSource(), cast<MemRefType>(op.getSource().getType()).getRank());
    b.forThreads(product(b, bounds), [&](Value flat) {
      Values at = delinearize(b, flat, bounds);
      memref::StoreOp::create(b, memref::LoadOp::create(b, op.getSource(), at), op.getTarget(), at);
    });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void nvptx::populateElementwisePatterns(RewritePatternSet &patterns) {
  patterns.add<LowerLinalg, LowerCopy>(patterns.getContext());
}
