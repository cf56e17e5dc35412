//===- Moefy.cpp - groups of a dense layer's hidden units as experts ------===//

#include "Conversions.h"
#include "DenseLayer.h"
#include "LayerBuilder.h"

#include "passes/Entries.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_MOEFY
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

/// What the description says of a router and a pool that the weights half makes.
static constexpr double kStd = 0.02;

namespace {

struct MoefyPass : peer::impl::MoefyBase<MoefyPass> {
  using MoefyBase::MoefyBase;
  void runOnOperation() override;

private:
  LogicalResult convert(const DenseLayer &layer, const ParameterNames &names, Plan &plan);
};

LogicalResult MoefyPass::convert(const DenseLayer &layer, const ParameterNames &names, Plan &plan) {
  Operation *down = layer.down;
  int64_t width = layer.width(), hidden = layer.hidden();
  if (experts < 1 || hidden % experts)
    return down->emitError() << "expected experts to divide the " << hidden << " hidden units of the layer, got "
                             << int64_t(experts);
  if (topK < 1 || topK > experts)
    return down->emitError() << "expected top-k between 1 and " << int64_t(experts) << ", got " << int64_t(topK);
  if (failed(checkBecomesExperts(layer)))
    return failure();
  LayerBuilder builder(down, layer.localName());
  for (const DenseInstance &instance : instancesOf(layer, names)) {
    std::string name = joinNames(instance.outer, layer.localName());
    llvm::json::Object report;
    report["name"] = name;
    report["hidden"] = hidden;
    report["experts"] = int64_t(experts);
    report["selected"] = int64_t(topK);
    report["activation"] = stringifyActivation(layer.activation);
    report["rows"] = layer.rows(instance.params);
    plan.addLayer(std::move(report));
    auto set = [&](StringRef local, weights::Expression value) -> LogicalResult {
      return planNew(plan, names, layer, joinNames(instance.outer, builder.nameOf(local)), std::move(value));
    };
    if (failed(set("router", weights::decided("router:" + name))) ||
        failed(set("experts", weights::gather(layer.rows(instance.params), 0, "order:" + name))))
      return failure();
  }
  auto [idx, val] = builder.route(layer.x(), experts, topK, kStd);
  Value pool = builder.normal("experts", {hidden, layer.vectors(), width}, kStd, "experts");
  Value mixed = builder.mix(layer.x(), idx, builder.gate(val, GateKind::One), pool, layer.activation, hidden / experts);
  layer.y().replaceAllUsesWith(mixed);
  eraseLayer(layer);
  return success();
}

void MoefyPass::runOnOperation() {
  SmallVector<std::string> chosen(layers.begin(), layers.end());
  auto each = [&](const DenseLayer &layer, const ParameterNames &names, Plan &weights) {
    return convert(layer, names, weights);
  };
  if (failed(convertDenseLayers(getOperation(), chosen, "moefy", plan, each)))
    signalPassFailure();
}

} // namespace
