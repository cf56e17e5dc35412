//===- Pesc.cpp - adapters as experts on a frozen dense layer -------------===//

#include "Conversions.h"
#include "DenseLayer.h"
#include "LayerBuilder.h"

#include "passes/Entries.h"

#include <cmath>

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_PESC
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

/// As small as routers of the literature begin: choices are about even.
static constexpr double kRouterStd = 0.02;

namespace {

struct PescPass : peer::impl::PescBase<PescPass> {
  using PescBase::PescBase;
  void runOnOperation() override;

private:
  LogicalResult checkOptions();
  LogicalResult convert(const DenseLayer &layer, const ParameterNames &names, Plan &plan);
};

LogicalResult PescPass::checkOptions() {
  auto fail = [&](const Twine &what) { return emitError(locationOf(getOperation())) << "expected " << what; };
  constexpr int64_t kMost = 1 << 24;
  if (experts < 1 || experts > kMost)
    return fail("experts between 1 and 2^24, got " + Twine(experts));
  if (topK < 1 || topK > experts)
    return fail("top-k between 1 and " + Twine(experts) + ", got " + Twine(topK));
  if (adapter < 1 || adapter > kMost)
    return fail("adapter between 1 and 2^24, got " + Twine(adapter));
  return success();
}

LogicalResult PescPass::convert(const DenseLayer &layer, const ParameterNames &names, Plan &plan) {
  LinearOp down = layer.down;
  LayerBuilder builder(down->getNextNode(), layer.localName());
  int64_t width = layer.width(), rows = experts * adapter;
  for (const DenseInstance &instance : instancesOf(layer, names)) {
    llvm::json::Object report;
    report["name"] = joinNames(instance.outer, layer.localName());
    report["frozen"] = layer.hidden() * layer.vectors() * width;
    report["experts"] = int64_t(experts);
    report["selected"] = int64_t(topK);
    report["adapter"] = int64_t(adapter);
    plan.addLayer(std::move(report));
    auto set = [&](StringRef name, weights::Expression value) -> LogicalResult {
      return planNew(plan, names, layer, joinNames(instance.outer, builder.nameOf(name)), std::move(value));
    };
    // What adapters return begins with zeros, and learns first.
    auto first = weights::slice(weights::initial(), 1, 0, 1);
    if (failed(set("router", weights::initial())) ||
        failed(set("experts", weights::concat(1, {first, weights::zeros({rows, 1, width})}))))
      return failure();
  }
  for (ParamOp param : layer.params())
    param.setFrozen(true);
  auto [idx, val] = builder.route(layer.x(), experts, topK, kRouterStd);
  Value pool = builder.normal("experts", {rows, 2, width}, 1 / std::sqrt(double(width)), "experts");
  Value y = layer.y();
  Value mixed = builder.mix(y, idx, builder.gate(val, GateKind::Softmax), pool, Activation::Gelu, adapter);
  Value sum = builder.add(y, mixed);
  llvm::SmallPtrSet<Operation *, 2> own{mixed.getDefiningOp(), sum.getDefiningOp()};
  y.replaceAllUsesExcept(sum, own);
  return success();
}

void PescPass::runOnOperation() {
  SmallVector<std::string> chosen(layers.begin(), layers.end());
  auto each = [&](const DenseLayer &layer, const ParameterNames &names, Plan &weights) {
    return convert(layer, names, weights);
  };
  if (failed(checkOptions()) || failed(convertDenseLayers(getOperation(), chosen, "pesc", plan, each)))
    signalPassFailure();
}

} // namespace
