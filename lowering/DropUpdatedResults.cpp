//===- DropUpdatedResults.cpp - results that are their arguments ---------===//

#include "Passes.h"
#include "dialect/PeerDialect.h"

namespace peer {
#define GEN_PASS_DEF_DROPUPDATEDRESULTS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

/// Running statistics and other vectors are computed beside their argument and
/// copied; a table must never be.
static bool isSmall(Value buffer) {
  constexpr int64_t kMaxCopiedElements = 16384;
  auto type = cast<MemRefType>(buffer.getType());
  return type.hasStaticShape() && type.getNumElements() <= kMaxCopiedElements;
}

static LogicalResult dropUpdatedResults(func::FuncOp function) {
  BitVector dropped(function.getNumResults());
  auto terminator = cast<func::ReturnOp>(function.front().getTerminator());
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    auto updates = function.getResultAttrOfType<IntegerAttr>(i, attrs::kUpdates);
    if (!updates)
      continue;
    Value value = terminator.getOperand(i);
    while (auto cast = value.getDefiningOp<memref::CastOp>())
      value = cast.getSource();
    BlockArgument argument = function.getArgument(updates.getInt());
    if (value != argument && isSmall(argument)) {
      OpBuilder b(terminator);
      memref::CopyOp::create(b, terminator.getLoc(), value, argument);
    } else if (value != argument)
      return function.emitError("result ") << i << " of @" << function.getName() << " should update argument "
                                           << updates.getInt() << " in place, but was computed elsewhere";
    dropped.set(i);
  }
  terminator->eraseOperands(dropped);
  return function.eraseResults(dropped);
}

namespace {
struct DropUpdatedResults : peer::impl::DropUpdatedResultsBase<DropUpdatedResults> {
  void runOnOperation() override {
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal() && failed(dropUpdatedResults(function)))
        return signalPassFailure();
  }
};
} // namespace
