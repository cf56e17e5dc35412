//===- PruneExperts.cpp - fewer experts ------------------------------------===//

#include "Conversions.h"
#include "ExpertAxis.h"
#include "Plan.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_PRUNEEXPERTS
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

namespace {

struct PruneExpertsPass : peer::impl::PruneExpertsBase<PruneExpertsPass> {
  using PruneExpertsBase::PruneExpertsBase;
  void runOnOperation() override;

private:
  LogicalResult convert(ExpertAxis &axis, const ParameterNames &names, Plan &plan);
  LogicalResult convertOp(Operation *op, ArrayRef<std::string> pools, const ParameterNames &names, Plan &plan);
  /// Slices of a parameter, those of the experts that are kept in the layer of each pool, or means of them.
  LogicalResult keep(ParamOp param, int64_t axis, int64_t rows, ArrayRef<std::string> pools,
                     const ParameterNames &names, Plan &plan);
  LogicalResult run();
  bool isMerge() const { return how == "merge"; }

  llvm::DenseSet<Operation *> converted;
  llvm::SetVector<ParamOp> params;
  llvm::MapVector<Value, int64_t> sizes; // of last dimensions
};

LogicalResult PruneExpertsPass::keep(ParamOp param, int64_t axis, int64_t rows, ArrayRef<std::string> pools,
                                     const ParameterNames &names, Plan &plan) {
  ArrayRef<int64_t> before = param.getType().getShape();
  if (names.of(param).size() != pools.size())
    return param.emitError() << "several layers share what belongs to their experts: each would keep others";
  SmallVector<int64_t> shape(before), byExpert(before);
  shape[axis] = experts * rows;
  byExpert[axis] = before[axis] / rows;
  // Rows of one expert lie side by side.
  byExpert.insert(byExpert.begin() + axis + 1, rows);
  for (auto [name, pool] : llvm::zip_equal(names.of(param), pools)) {
    auto old = weights::tensor(name);
    if (isMerge() && rows > 1)
      old = weights::gather(std::move(old), axis, "units:" + pool);
    old = weights::reshape(std::move(old), byExpert);
    auto left = isMerge() ? weights::combine(std::move(old), axis, "shares:" + pool)
                          : weights::gather(std::move(old), axis, "kept:" + pool);
    if (failed(plan.set(name, weights::reshape(std::move(left), shape), param.getLoc())))
      return failure();
  }
  param.getResult().setType(param.getType().clone(shape));
  params.insert(param);
  return success();
}

LogicalResult PruneExpertsPass::convertOp(Operation *op, ArrayRef<std::string> pools, const ParameterNames &names,
                                          Plan &plan) {
  if (!converted.insert(op).second)
    return success();
  MLIRContext *context = op->getContext();
  if (auto select = dyn_cast<SelectOp>(op)) {
    auto policy = select.getPolicy();
    if (auto threshold = dyn_cast<ThresholdPolicyAttr>(policy))
      policy = ThresholdPolicyAttr::get(context, threshold.getThreshold(), threshold.getSigmoid(),
                                        std::min<int64_t>(threshold.getMax(), experts));
    else if (auto share = dyn_cast<TopPPolicyAttr>(policy))
      policy = TopPPolicyAttr::get(context, share.getP(), std::min<int64_t>(share.getMax(), experts));
    if (std::string why = policy.reject(experts); !why.empty())
      return op->emitError() << "of the experts that are kept as many cannot be selected: " << why;
    select.setPolicyAttr(policy);
    sizes[select.getIdx()] = sizes[select.getVal()] = policy.getNumSelected(experts);
    return success();
  }
  auto number = [&](StringRef attribute) {
    op->setAttr(attribute, IntegerAttr::get(op->getAttrOfType<IntegerAttr>(attribute).getType(), experts));
    return success();
  };
  if (auto bias = dyn_cast<BalanceBiasOp>(op)) {
    auto param = bias.getBias().getDefiningOp<ParamOp>();
    sizes[bias.getBiased()] = experts;
    return param ? keep(param, 1, 1, pools, names, plan)
                 : LogicalResult(op->emitError() << "expected a bias to be a parameter of the block that uses it");
  }
  if (auto load = dyn_cast<ExpertLoadOp>(op)) {
    sizes[load.getLoad()] = experts;
    return number("keys");
  }
  if (isa<CapacityOp>(op))
    return number("experts");
  if (auto mix = dyn_cast<MixLikeOpInterface>(op)) {
    int64_t rows = mix.getRowsPerExpert();
    for (Value value : {mix.getPool(), mix.getScales()})
      if (auto param = value ? value.getDefiningOp<ParamOp>() : ParamOp();
          param && failed(keep(param, 0, rows, pools, names, plan)))
        return failure();
    return success();
  }
  if (isa<func::ReturnOp, peer::CallOp, func::CallOp, BalanceLossOp, ZLossOp, GateOp, ProbabilityOp, GatherOp,
          StraightThroughOp, SoftmaxOp>(op))
    return success();
  return op->emitError() << "op '" << op->getName()
                         << "' reads what a router says, and it is not known what it makes of fewer experts";
}

LogicalResult PruneExpertsPass::convert(ExpertAxis &axis, const ParameterNames &names, Plan &plan) {
  auto router = axis.score.getKeys().getDefiningOp<ParamOp>();
  if (!router || axis.mixes.size() != 1)
    return axis.score.emitError()
           << "expected a router's rows to be a parameter of its block, for one layer of experts";
  int64_t before = router.getType().getDimSize(2);
  if (experts < 1 || experts > before)
    return axis.score.emitError() << "expected experts between 1 and the " << before << " of the layer, got "
                                  << int64_t(experts);
  if (failed(axis.checkClosed()))
    return failure();
  auto pool = axis.mixes.front().getPool().getDefiningOp<ParamOp>();
  SmallVector<std::string> pools(names.of(pool));
  for (auto [i, name] : llvm::enumerate(pools)) {
    llvm::json::Object layer;
    layer["name"] = name;
    layer["experts_before"] = before;
    layer["experts"] = int64_t(experts);
    layer["router"] = weights::tensor(names.of(router)[std::min(i, names.of(router).size() - 1)]);
    if (isMerge())
      layer["pool"] = weights::tensor(name);
    plan.addLayer(std::move(layer));
  }
  if (failed(keep(router, 2, 1, pools, names, plan)))
    return failure();
  converted.insert(axis.score);
  sizes[axis.score.getLogits()] = experts;
  for (Operation *op : axis.ops)
    if (failed(convertOp(op, pools, names, plan)))
      return failure();
  // What others return is of the size of what they take first: values of selected experts, or scores of all.
  for (size_t known = 0; known != sizes.size();) {
    known = sizes.size();
    for (auto [from, to] : axis.passed)
      if (sizes.contains(from))
        sizes[to] = sizes[from];
    for (Value value : axis.values)
      if (auto result = dyn_cast<OpResult>(value);
          result && !sizes.contains(value) && axis.ops.contains(result.getOwner())) {
        bool ofIndices = isa<GatherOp>(result.getOwner());
        if (auto found = sizes.find(result.getOwner()->getOperand(ofIndices ? 1 : 0)); found != sizes.end())
          sizes[value] = int64_t(found->second);
      }
  }
  for (auto &[value, size] : sizes) {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = size;
    value.setType(type.clone(shape));
  }
  sizes.clear();
  return success();
}

LogicalResult PruneExpertsPass::run() {
  ModuleOp module = getOperation();
  if (how != "drop" && how != "merge")
    return emitError(locationOf(module)) << "expected how to be drop or merge, got '" << std::string(how) << "'";
  Plan weights("prune-experts");
  FailureOr<ParameterNames> names = ParameterNames::find(module);
  if (failed(names))
    return failure();
  SmallVector<std::string> chosen(layers.begin(), layers.end());
  SmallVector<ScoreOp> scores;
  module.walk([&](ScoreOp score) { scores.push_back(score); });
  for (ScoreOp score : scores) {
    ExpertAxis axis(module, score);
    FailureOr<bool> meant = axis.isMeant(*names, chosen);
    if (failed(meant) || (*meant && failed(convert(axis, *names, weights))))
      return failure();
  }
  if (!weights.hasLayers())
    return emitError(locationOf(module)) << "the model has no layer " << (chosen.empty() ? "" : "of these names ")
                                         << "in which a router's own rows select among experts";
  if (failed(checkReaders(*names, params.getArrayRef(), converted)))
    return failure();
  updateSignatures(module);
  return weights.write(plan, module.getLoc());
}

void PruneExpertsPass::runOnOperation() {
  if (failed(run()))
    signalPassFailure();
}

} // namespace
