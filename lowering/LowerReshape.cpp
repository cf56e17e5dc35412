//===- LowerReshape.cpp - peer.reshape to collapse and expand ------------===//

#include "Passes.h"
#include "dialect/ops/Check.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace peer {
#define GEN_PASS_DEF_LOWERRESHAPE
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

/// All dimensions of a shape in one group.
static SmallVector<ReassociationIndices> oneGroup(int64_t rank) {
  return {llvm::to_vector<2>(llvm::seq<int64_t>(0, rank))};
}

namespace {
struct ReshapeToViews : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &b) const override {
    auto from = dyn_cast<RankedTensorType>(op.getX().getType());
    if (!from || !op.getOuts().empty())
      return b.notifyMatchFailure(op, "not in value form");
    auto to = cast<RankedTensorType>(op.getType());
    Location loc = op.getLoc();
    if (from == to) {
      b.replaceOp(op, op.getX());
      return success();
    }
    int64_t elements = from.hasStaticShape() ? from.getNumElements() : ShapedType::kDynamic;
    Value flat = op.getX();
    if (from.getRank() > 1)
      flat = tensor::CollapseShapeOp::create(b, loc, RankedTensorType::get({elements}, from.getElementType()), flat,
                                             oneGroup(from.getRank()));
    if (to.getRank() == 1) {
      b.replaceOp(op, flat);
      return success();
    }
    SmallVector<OpFoldResult> sizes = getAsIndexOpFoldResult(b.getContext(), to.getShape());
    if (to.isDynamicDim(0)) {
      // One side's rest divides the other's (C2), so the first dimension is scaled by an integer.
      Value tokens = tensor::DimOp::create(b, loc, op.getX(), 0);
      int64_t restFrom = restOf(from), restTo = restOf(to);
      Value factor = arith::ConstantIndexOp::create(b, loc, restFrom >= restTo ? restFrom / restTo : restTo / restFrom);
      sizes[0] = restFrom >= restTo ? Value(arith::MulIOp::create(b, loc, tokens, factor))
                                    : Value(arith::DivUIOp::create(b, loc, tokens, factor));
    }
    b.replaceOpWithNewOp<tensor::ExpandShapeOp>(op, to, flat, oneGroup(to.getRank()), sizes);
    return success();
  }
};

struct LowerReshape : peer::impl::LowerReshapeBase<LowerReshape> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ReshapeToViews>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
