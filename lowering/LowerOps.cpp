//===- LowerOps.cpp - buffer-form ops to loops or vectors ----------------===//

#include "Passes.h"
#include "dialect/PeerOps.h"
#include "lowering/emit/Emitters.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace peer {
#define GEN_PASS_DEF_LOWERTOLOOPS
#define GEN_PASS_DEF_LOWERTOVECTORS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

/// Applies the patterns to every op of our dialect once; new ops are never ours.
static LogicalResult lower(ModuleOp module, RewritePatternSet patterns) {
  SmallVector<Operation *> ops;
  module.walk([&](GraphOpInterface op) { ops.push_back(op); });
  FrozenRewritePatternSet frozen(std::move(patterns));
  GreedyRewriteConfig config;
  config.setStrictness(GreedyRewriteStrictness::ExistingOps);
  if (failed(applyOpPatternsGreedily(ops, frozen, config)))
    return failure();
  WalkResult left = module.walk([&](GraphOpInterface op) {
    op->emitOpError("could not be lowered: is it in buffer form (after bufferization)?");
    return WalkResult::interrupt();
  });
  return failure(left.wasInterrupted());
}

namespace {
struct LowerToLoops : peer::impl::LowerToLoopsBase<LowerToLoops> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    getLoopEmitters().populateLoops(patterns);
    if (failed(lower(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

struct LowerToVectors : peer::impl::LowerToVectorsBase<LowerToVectors> {
  using LowerToVectorsBase::LowerToVectorsBase;
  void runOnOperation() override {
    if (width != 16 && width != 8 && width != 4) {
      getOperation().emitError("vectors of 16, 8 or 4 lanes are supported, got width=") << width.getValue();
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    getLoopEmitters().populateVectors(patterns, VectorOptions{width, tiles, dots});
    if (failed(lower(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
