//===- ToDestinations.cpp - destinations for graph ops -------------------===//

#include "Passes.h"

#include "dialect/Destinations.h"
#include "dialect/Tiling.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_TODESTINATIONS
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// Elements of a type's dimensions but the first, all static.
int64_t rowSize(RankedTensorType type) {
  int64_t elements = 1;
  for (int64_t size : type.getShape().drop_front())
    elements *= size;
  return elements;
}

/// All `rank` dimensions as one group, but for the first `apart`, each a group of its own.
SmallVector<ReassociationIndices> groups(int64_t rank, int64_t apart) {
  SmallVector<ReassociationIndices> result(apart);
  for (int64_t dim = 0; dim < rank; ++dim) {
    if (dim < apart)
      result[dim].push_back(dim);
    else if (dim == apart)
      result.push_back({dim});
    else
      result.back().push_back(dim);
  }
  return result;
}

/// A view of the same elements: collapsed to one dimension (or rows, where both sides have the same ones), then expanded.
///
/// ```mlir
/// %h = peer.reshape %q to tensor<?x8x2x128xf32> : tensor<?x2048xf32>
/// ```
/// becomes
/// ```mlir
/// %h = tensor.expand_shape %q [[0], [1, 2, 3]] output_shape [%rows, 8, 2, 128] : ...
/// ```
void lowerReshape(RewriterBase &rewriter, ReshapeOp op) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  Value value = op.getX();
  auto from = cast<RankedTensorType>(value.getType()), to = cast<RankedTensorType>(op->getResult(0).getType());
  SmallVector<OpFoldResult> sizes = getOutputSizes(rewriter, cast<GraphOpInterface>(op.getOperation()), 0);
  int64_t common = 0; // dimensions that stay as they are
  if (from.getRank() > 1 && to.getRank() > 1 && rowSize(from) == rowSize(to))
    common = 1;
  int64_t flatRank = std::min({common + 1, from.getRank(), to.getRank()});
  if (from.getRank() > flatRank) {
    auto reassociation = flatRank == 0 ? SmallVector<ReassociationIndices>() : groups(from.getRank(), common);
    value = tensor::CollapseShapeOp::create(rewriter, loc, value, reassociation);
  }
  if (to.getRank() > flatRank) {
    auto reassociation = flatRank == 0 ? SmallVector<ReassociationIndices>() : groups(to.getRank(), common);
    value = tensor::ExpandShapeOp::create(rewriter, loc, to, value, reassociation, sizes);
  }
  if (value.getType() != to)
    value = tensor::CastOp::create(rewriter, loc, to, value);
  rewriter.replaceOp(op, value);
}

struct ToDestinations : peer::impl::ToDestinationsBase<ToDestinations> {
  using ToDestinationsBase::ToDestinationsBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    ToDestinationsBase::getDependentDialects(registry);
    registerTilingExternalModels(registry);
  }

  void runOnOperation() override {
    SmallVector<GraphOpInterface> lacking;
    SmallVector<ReshapeOp> reshapes;
    getOperation()->walk([&](GraphOpInterface op) {
      auto reshape = dyn_cast<ReshapeOp>(op.getOperation());
      if (reshape && lacksDestinations(op))
        reshapes.push_back(reshape);
      else if (lacksDestinations(op))
        lacking.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    // Last first, so that sizes are still read off value-form producers, through to the earliest value.
    for (GraphOpInterface op : llvm::reverse(lacking))
      if (failed(addDestinations(rewriter, op)))
        return signalPassFailure();
    for (ReshapeOp reshape : llvm::reverse(reshapes))
      lowerReshape(rewriter, reshape);
  }
};

} // namespace
