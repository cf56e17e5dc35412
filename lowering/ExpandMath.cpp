//===- ExpandMath.cpp - math as polynomials ------------------------------===//

#include "NarrowFloats.h"
#include "Passes.h"

#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace peer {
#define GEN_PASS_DEF_EXPANDMATH
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

namespace {
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
