//===- FuseElementwise.cpp - chains of elementwise ops become one --------===//

#include "Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace peer {
#define GEN_PASS_DEF_FUSEELEMENTWISE
#include "passes/Passes.h.inc"
} // namespace peer

using namespace mlir;

/// The most ops of a fused body. Each fusion makes the body anew, so that without a limit a chain takes time that grows with the
/// square of its length; and long before that a loop is bound by what it computes, and has nothing to gain.
static constexpr size_t kMostOps = 64;

static size_t countOps(Operation *op) {
  return op->getNumRegions() == 0 ? 0 : llvm::range_size(op->getRegion(0).front().without_terminator());
}

/// A value with one use is computed where that is.
static bool mayFuse(OpOperand *use) {
  Operation *producer = use->get().getDefiningOp();
  return producer && producer->hasOneUse() && countOps(producer) + countOps(use->getOwner()) <= kMostOps;
}

namespace {
struct FuseElementwise : peer::impl::FuseElementwiseBase<FuseElementwise> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    // Transpositions of constants are not folded, as upstream does: one of a single value may have any number of elements.
    linalg::populateElementwiseOpsFusionPatterns(patterns, mayFuse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns, mayFuse);
    tensor::populateBubbleUpExpandShapePatterns(patterns);
    affine::AffineApplyOp::getCanonicalizationPatterns(patterns, context);
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, context);
    context->getLoadedDialect<linalg::LinalgDialect>()->getCanonicalizationPatterns(patterns);
    GreedyRewriteConfig config;
    config.setUseTopDownTraversal();
    (void)applyPatternsGreedily(getOperation(), std::move(patterns), config);
  }
};
} // namespace
