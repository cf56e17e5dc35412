//===- LowerOps.cpp - buffer-form ops to loops or vectors, marks to calls -===//

#include "NarrowFloats.h"
#include "Passes.h"
#include "artifact/format.h"
#include "dialect/PeerOps.h"
#include "lowering/emit/Calls.h"
#include "lowering/emit/Lowerings.h"

#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace peer {
#define GEN_PASS_DEF_LOWERTOLOOPS
#define GEN_PASS_DEF_LOWERTOVECTORS
#define GEN_PASS_DEF_LOWERMARKS
#define GEN_PASS_DEF_EXPANDMATH
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
    populateRoutingToLoopsPatterns(patterns);
    populateNNToLoopsPatterns(patterns);
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
    VectorOptions options;
    options.width = width;
    populateRoutingToLoopsPatterns(patterns);
    populateRoutingToVectorsPatterns(patterns, options);
    populateNNToVectorsPatterns(patterns, options);
    if (failed(lower(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

struct LowerMarks : peer::impl::LowerMarksBase<LowerMarks> {
  void runOnOperation() override {
    constexpr StringLiteral hook = format::symbol::kMark;
    ModuleOp module = getOperation();
    SmallVector<MarkOp> marks;
    module.walk([&](MarkOp op) { marks.push_back(op); });
    if (marks.empty())
      return;
    OpBuilder b(&getContext());
    declareHook(b, module, hook, b.getFunctionType({b.getI64Type()}, {}));
    for (MarkOp mark : marks) {
      b.setInsertionPoint(mark);
      Value index = arith::ConstantOp::create(b, mark.getLoc(), b.getI64IntegerAttr(int64_t(mark.getIndex())));
      func::CallOp::create(b, mark.getLoc(), hook, TypeRange{}, ValueRange{index});
      mark.erase();
    }
  }
};

struct ExpandMath : peer::impl::ExpandMathBase<ExpandMath> {
  void runOnOperation() override {
    expandNarrowFloats(getOperation());
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
      // sin and cos lose all accuracy for large angles there; rotary positions reach tens of thousands.
      return name != math::SinOp::getOperationName() && name != math::CosOp::getOperationName();
    });
    // Rounding to bf16 is a call of compiler-rt on a CPU without the instruction.
    arith::populateExpandBFloat16Patterns(patterns);
    // Only these ops: a walk to the fixed point over all of a model's kernels takes several times as long.
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect>(op->getDialect()) || isa<arith::ExtFOp, arith::TruncFOp>(op))
        ops.push_back(op);
    });
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    if (failed(applyOpPatternsGreedily(ops, std::move(patterns), config)))
      signalPassFailure();
  }
};
} // namespace
