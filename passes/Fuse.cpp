//===- Fuse.cpp - folds that keep large tensors from being formed --------===//

#include "Passes.h"
#include "dialect/PeerOps.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_FUSE
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// The selection whose gradient `dlogits` is, if it touches a few keys only.
FailureOr<SelectGradOp> findSparseSelection(Operation *op, Value dlogits, PatternRewriter &rewriter) {
  auto select = dlogits.getDefiningOp<SelectGradOp>();
  if (!select)
    return rewriter.notifyMatchFailure(op, "the gradient of the logits does not come from a selection alone");
  if (select.getPolicy().selectsAll())
    return rewriter.notifyMatchFailure(op, "the policy selects every key: the dense form is the cheaper one");
  return select;
}

/// score_query_grad(select_grad(idx, dval), keys) -> route_query_grad(idx, dval, keys)
struct FoldQueryGrad : OpRewritePattern<ScoreQueryGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScoreQueryGradOp op, PatternRewriter &rewriter) const override {
    if (!op.getOuts().empty())
      return rewriter.notifyMatchFailure(op, "has a destination already");
    FailureOr<SelectGradOp> select = findSparseSelection(op, op.getDlogits(), rewriter);
    if (failed(select))
      return failure();
    rewriter.replaceOpWithNewOp<RouteQueryGradOp>(op, select->getIdx(), select->getDval(), op.getKeys(),
                                                  select->getPolicy(), ValueRange());
    return success();
  }
};

/// score_key_grad(select_grad(idx, dval), query) -> route_key_grad(idx, dval, query)
struct FoldKeyGrad : OpRewritePattern<ScoreKeyGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScoreKeyGradOp op, PatternRewriter &rewriter) const override {
    if (!op.getOuts().empty())
      return rewriter.notifyMatchFailure(op, "has a destination already");
    FailureOr<SelectGradOp> select = findSparseSelection(op, op.getDlogits(), rewriter);
    if (failed(select))
      return failure();
    rewriter.replaceOpWithNewOp<RouteKeyGradOp>(op, select->getIdx(), select->getDval(), op.getQuery(),
                                                select->getPolicy(), select->getN(), op.getShared(), ValueRange());
    return success();
  }
};

/// reshape(reshape(x)) -> reshape(x), and reshape to x's own type -> x
struct FoldReshape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    if (!op.getOuts().empty())
      return rewriter.notifyMatchFailure(op, "has a destination already");
    if (op.getX().getType() == op.getY().getType()) {
      rewriter.replaceOp(op, op.getX());
      return success();
    }
    auto inner = op.getX().getDefiningOp<ReshapeOp>();
    if (!inner || !inner.getOuts().empty())
      return rewriter.notifyMatchFailure(op, "reshapes no other reshape");
    auto outer = cast<RankedTensorType>(op.getY().getType());
    auto source = cast<RankedTensorType>(inner.getX().getType());
    if (source == outer) {
      rewriter.replaceOp(op, inner.getX());
      return success();
    }
    // With a dynamic first dimension one side's row must hold a whole number of the other's.
    auto elements = [](RankedTensorType type) {
      int64_t product = 1;
      for (int64_t size : type.getShape().drop_front())
        product *= size;
      return product;
    };
    int64_t a = elements(source), b = elements(outer);
    if (!source.hasStaticShape() && (a == 0 || b == 0 || (a % b != 0 && b % a != 0)))
      return rewriter.notifyMatchFailure(op, "neither shape's rows divide the other's");
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, inner.getX(), outer, ValueRange());
    return success();
  }
};

/// score, the select that alone reads its logits and the gate of its values, if there is one -> route
struct FormRoute : OpRewritePattern<SelectOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SelectOp select, PatternRewriter &rewriter) const override {
    auto score = select.getLogits().getDefiningOp<ScoreOp>();
    if (!score || !score->hasOneUse() || score->getBlock() != select->getBlock())
      return rewriter.notifyMatchFailure(select, "not the only reader of a score's logits");
    if (select.getPolicy().choosesTokens() || select.getThreshold())
      return rewriter.notifyMatchFailure(select, "looks at all tokens, or at a number that is no part of the policy");
    Value val = select.getVal();
    auto gates = llvm::make_filter_range(val.getUsers(), llvm::IsaPred<GateOp>);
    GateOp gate = llvm::hasSingleElement(gates) ? cast<GateOp>(*gates.begin()) : GateOp();
    bool keepsVal = !gate || !val.hasOneUse();
    if (!score.getOuts().empty() || !select.getOuts().empty() || (gate && !gate.getOuts().empty()))
      return rewriter.notifyMatchFailure(select, "has destinations already");
    auto tokens = [](Value v) { return cast<ShapedType>(v.getType()).getDimSize(0); };
    if (tokens(val) != tokens(score.getQuery()) || (gate && tokens(gate.getWeights()) != tokens(val)))
      return rewriter.notifyMatchFailure(select, "knows more of its tokens than the query tells");
    // All that the three read is there where the score stands.
    rewriter.setInsertionPoint(score);
    auto route = RouteOp::create(
        rewriter, select.getLoc(), score.getQuery(), score.getKeys(), Value(), select.getPolicy(),
        gate ? GateKindAttr::get(getContext(), gate.getKind()) : GateKindAttr(), keepsVal, ValueRange());
    if (gate)
      rewriter.replaceOp(gate, route.getWeights());
    rewriter.replaceAllUsesWith(select.getIdx(), route.getIdx());
    if (keepsVal)
      rewriter.replaceAllUsesWith(val, route.getVal());
    rewriter.eraseOp(select);
    rewriter.eraseOp(score);
    return success();
  }
};

struct FusePass : peer::impl::FuseBase<FusePass> {
  void runOnOperation() override {
    RewritePatternSet folds(&getContext());
    folds.add<FoldQueryGrad, FoldKeyGrad, FoldReshape>(&getContext());
    // Behind them, for what they leave dead reads no val.
    RewritePatternSet routes(&getContext());
    routes.add<FormRoute>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(folds))) ||
        failed(applyPatternsGreedily(getOperation(), std::move(routes))))
      signalPassFailure();
  }
};

} // namespace
