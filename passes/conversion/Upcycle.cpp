//===- Upcycle.cpp - experts from a dense layer, or beside it -------------===//

#include "Conversions.h"
#include "DenseLayer.h"
#include "LayerBuilder.h"

#include "passes/Entries.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_UPCYCLE
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

/// As small as routers of the literature begin: choices are about even.
static constexpr double kRouterStd = 0.02;

namespace {

struct UpcyclePass : peer::impl::UpcycleBase<UpcyclePass> {
  using UpcycleBase::UpcycleBase;
  void runOnOperation() override;

private:
  LogicalResult checkOptions();
  LogicalResult convert(const DenseLayer &layer, const ParameterNames &names, Plan &plan);
  Value replace(const DenseLayer &layer, LayerBuilder &builder);
  Value addBeside(const DenseLayer &layer, LayerBuilder &builder);
  bool isPeer() const { return form == "peer"; }
  /// Keys of a half of a PEER layer's queries.
  int64_t side() const { return std::llround(std::sqrt(double(experts))); }
};

LogicalResult UpcyclePass::checkOptions() {
  auto fail = [&](const Twine &what) { return emitError(locationOf(getOperation())) << "expected " << what; };
  if (form != "moe" && form != "peer")
    return fail("form to be moe or peer, got " + form);
  if (experts < 1 || experts > (int64_t(1) << 24))
    return fail("experts between 1 and 2^24, got " + Twine(experts));
  if (isPeer() && side() * side() != experts)
    return fail("the experts of a PEER layer to be a square, got " + Twine(experts));
  int64_t most = isPeer() ? side() : int64_t(experts);
  if (topK < 1 || topK > most)
    return fail("top-k between 1 and " + Twine(most) + ", got " + Twine(topK));
  if (heads < 1 || heads > 1024)
    return fail("heads between 1 and 1024, got " + Twine(heads));
  return success();
}

Value UpcyclePass::replace(const DenseLayer &layer, LayerBuilder &builder) {
  auto [idx, val] = builder.route(layer.x(), experts, topK, kRouterStd);
  Value pool =
      builder.normal("experts", {experts * layer.hidden(), layer.vectors(), layer.width()}, kRouterStd, "experts");
  return builder.mix(layer.x(), idx, builder.gate(val, GateKind::Softmax), pool, layer.activation, layer.hidden());
}

Value UpcyclePass::addBeside(const DenseLayer &layer, LayerBuilder &builder) {
  int64_t width = layer.width(), half = llvm::divideCeil(width, 2);
  // Scores and hidden units of a variance that does not depend on the width.
  double std = 1 / std::sqrt(double(width)), keyStd = 1 / std::sqrt(double(half));
  Value query = builder.linear(layer.x(), builder.normal("peer.query.weight", {width, heads * 2 * half}, std));
  Value keys = builder.normal("peer.keys", {heads, 2, side(), half}, keyStd);
  Value scores = builder.score(builder.reshape(query, {heads, 2, half}), keys);
  auto [idx, val] = builder.select(scores, ProductTopKPolicyAttr::get(&getContext(), topK));
  Value pool = builder.normal("peer.experts", {experts, 2, width}, std, "experts");
  Value mixed = builder.mix(layer.x(), idx, builder.gate(val, GateKind::Softmax), pool, Activation::Gelu, 1);
  return builder.add(layer.y(), mixed);
}

LogicalResult UpcyclePass::convert(const DenseLayer &layer, const ParameterNames &names, Plan &plan) {
  if (!isPeer() && failed(checkBecomesExperts(layer)))
    return failure();
  Operation *down = layer.down;
  LayerBuilder builder(isPeer() ? down->getNextNode() : down, layer.localName());
  int64_t width = layer.width(), row = layer.hidden() * layer.vectors() * width;
  for (const DenseInstance &instance : instancesOf(layer, names)) {
    llvm::json::Object report;
    report["name"] = joinNames(instance.outer, layer.localName());
    report["hidden"] = layer.hidden();
    report["experts"] = int64_t(experts);
    report["selected"] = int64_t(isPeer() ? heads * topK : topK);
    plan.addLayer(std::move(report));
    auto set = [&](StringRef name, weights::Expression value) -> LogicalResult {
      return planNew(plan, names, layer, joinNames(instance.outer, builder.nameOf(name)), std::move(value));
    };
    if (isPeer()) {
      auto before = weights::slice(weights::initial(), 1, 0, 1);
      if (failed(set("peer.query.weight", weights::initial())) || failed(set("peer.keys", weights::initial())) ||
          failed(set("peer.experts", weights::concat(1, {before, weights::zeros({experts, 1, width})}))))
        return failure();
      continue;
    }
    auto copies = weights::repeat(weights::reshape(layer.rows(instance.params), {1, row}), 0, experts);
    if (failed(set("router", weights::initial())) ||
        failed(set("experts", weights::reshape(copies, {experts * layer.hidden(), layer.vectors(), width}))))
      return failure();
  }
  Value y = layer.y();
  if (isPeer()) {
    Value sum = addBeside(layer, builder);
    y.replaceAllUsesExcept(sum, sum.getDefiningOp());
  } else {
    y.replaceAllUsesWith(replace(layer, builder));
    eraseLayer(layer);
  }
  return success();
}

void UpcyclePass::runOnOperation() {
  SmallVector<std::string> chosen(layers.begin(), layers.end());
  auto each = [&](const DenseLayer &layer, const ParameterNames &names, Plan &weights) {
    return convert(layer, names, weights);
  };
  if (failed(checkOptions()) || failed(convertDenseLayers(getOperation(), chosen, "upcycle", plan, each)))
    signalPassFailure();
}

} // namespace
