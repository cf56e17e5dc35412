//===- DecomposeRoutes.cpp - routes as score, select and gate ------------===//

#include "DecomposeRoutes.h"
#include "Passes.h"
#include "Remarks.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DECOMPOSEROUTES
#include "passes/Passes.h.inc"
} // namespace peer

static void decompose(RouteOp route, IRRewriter &rewriter, const char *reason) {
  SmallVector<StringRef> parts{ScoreOp::getOperationName(), SelectOp::getOperationName()};
  if (route.getGate())
    parts.push_back(GateOp::getOperationName());
  remarks::takenApart(route, llvm::join(parts, ", "), reason);
  Location loc = route.getLoc();
  rewriter.setInsertionPoint(route);
  auto score = ScoreOp::create(rewriter, loc, route.getQuery(), route.getKeys(), ValueRange());
  auto select = SelectOp::create(rewriter, loc, score.getLogits(), Value(), route.getPolicy(), ValueRange());
  SmallVector<Value> results{select.getIdx()};
  if (std::optional<GateKind> gate = route.getGate())
    results.push_back(GateOp::create(rewriter, loc, select.getVal(), *gate, ValueRange()).getWeights());
  if (route.getKeepVal())
    results.push_back(select.getVal());
  rewriter.replaceOp(route, results);
}

namespace {
struct DecomposeRoutes : peer::impl::DecomposeRoutesBase<DecomposeRoutes> {
  using DecomposeRoutesBase::DecomposeRoutesBase;
  explicit DecomposeRoutes(RejectRoute reject) : reject(std::move(reject)) {}

  void runOnOperation() override {
    SmallVector<RouteOp> routes;
    getOperation().walk([&](RouteOp route) { routes.push_back(route); });
    IRRewriter rewriter(&getContext());
    for (RouteOp route : routes)
      if (const char *reason = route.getOuts().empty() ? reject(route) : nullptr)
        decompose(route, rewriter, reason);
  }

  RejectRoute reject = [](RouteOp) { return "the pass was given no kernel for routes"; };
};
} // namespace

std::unique_ptr<Pass> peer::createDecomposeRoutesPass(RejectRoute reject) {
  return std::make_unique<DecomposeRoutes>(std::move(reject));
}
