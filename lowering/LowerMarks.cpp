//===- LowerMarks.cpp - marks to calls of the profiling hook -------------===//

#include "Passes.h"
#include "artifact/format.h"
#include "blocks/Blocks.h"
#include "dialect/PeerOps.h"
#include "lowering/emit/Calls.h"

namespace peer {
#define GEN_PASS_DEF_LOWERMARKS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

namespace {
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
      // A block has kernels of several numbers: it counts from the one that it is called with.
      if (auto function = mark->getParentOfType<func::FuncOp>(); isSharedBlock(function))
        index = arith::AddIOp::create(b, mark.getLoc(), function.getArgument(0), index);
      func::CallOp::create(b, mark.getLoc(), hook, TypeRange{}, ValueRange{index});
      mark.erase();
    }
  }
};
} // namespace
