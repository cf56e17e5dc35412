//===- ToDestinations.cpp - destinations for graph ops -------------------===//

#include "Passes.h"

#include "dialect/interfaces/Destinations.h"
#include "dialect/interfaces/Tiling.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_TODESTINATIONS
#include "passes/Passes.h.inc"
} // namespace peer

/// Gives each use of a tensor.empty one of its own. CSE leaves one for all values of a type, and bufferization would weigh every
/// write to it against every other, again for each of them.
static void splitEmptyTensors(func::FuncOp function) {
  SmallVector<tensor::EmptyOp> shared;
  function.walk([&](tensor::EmptyOp empty) {
    if (!empty->hasOneUse())
      shared.push_back(empty);
  });
  OpBuilder builder(function);
  for (tensor::EmptyOp empty : shared)
    for (OpOperand &use : llvm::make_early_inc_range(empty->getUses())) {
      // A use in a loop keeps its buffer outside.
      builder.setInsertionPoint(empty->getBlock()->findAncestorOpInBlock(*use.getOwner()));
      use.set(cast<tensor::EmptyOp>(builder.clone(*empty)).getResult());
    }
  for (tensor::EmptyOp empty : shared)
    empty.erase();
}

namespace {

struct ToDestinations : peer::impl::ToDestinationsBase<ToDestinations> {
  using ToDestinationsBase::ToDestinationsBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    ToDestinationsBase::getDependentDialects(registry);
    registerTilingExternalModels(registry);
  }

  void runOnOperation() override {
    SmallVector<GraphOpInterface> lacking;
    WalkResult walked = getOperation()->walk([&](GraphOpInterface op) -> WalkResult {
      if (!lacksDestinations(op))
        return WalkResult::advance();
      if (op.isView())
        return op.emitOpError("is a view and needs no destination; lower it to tensor.expand_shape before");
      lacking.push_back(op);
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return signalPassFailure();
    IRRewriter rewriter(&getContext());
    // Last first, so that sizes are still read off value-form producers, through to the earliest value.
    for (GraphOpInterface op : llvm::reverse(lacking))
      if (failed(addDestinations(rewriter, op)))
        return signalPassFailure();
    splitEmptyTensors(getOperation());
  }
};

} // namespace
