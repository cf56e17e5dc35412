//===- FillConstants.cpp - large tensors of one value are filled ---------===//

#include "Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace peer {
#define GEN_PASS_DEF_FILLCONSTANTS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;

/// The most elements that are stored as they are: small ones are read where they lie.
static constexpr int64_t kMostStored = 1024;

namespace {
struct FillConstants : peer::impl::FillConstantsBase<FillConstants> {
  void runOnOperation() override {
    SmallVector<arith::ConstantOp> large;
    getOperation()->walk([&](arith::ConstantOp constant) {
      auto splat = dyn_cast<SplatElementsAttr>(constant.getValue());
      if (splat && isa<RankedTensorType>(splat.getType()) && splat.getNumElements() > kMostStored)
        large.push_back(constant);
    });
    for (arith::ConstantOp constant : large) {
      auto splat = cast<SplatElementsAttr>(constant.getValue());
      OpBuilder b(constant);
      Location loc = constant.getLoc();
      Value value = arith::ConstantOp::create(b, loc, splat.getSplatValue<TypedAttr>());
      Value empty =
          tensor::EmptyOp::create(b, loc, cast<RankedTensorType>(splat.getType()).getShape(), splat.getElementType());
      constant->replaceAllUsesWith(linalg::FillOp::create(b, loc, value, empty).getResults());
      constant.erase();
    }
  }
};
} // namespace
