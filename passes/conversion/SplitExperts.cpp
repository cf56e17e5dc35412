//===- SplitExperts.cpp - smaller experts, or larger ones, of the same ----===//

#include "Conversions.h"
#include "ExpertAxis.h"
#include "Plan.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_SPLITEXPERTS
#define GEN_PASS_DEF_MERGEEXPERTS
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

namespace {

/// Parts of one expert have its row of the router, so wherever it was selected they all are. What a part's weight is of the expert's
/// follows from how weights are made of scores.
class Granularity {
public:
  Granularity(ModuleOp module, StringRef pass, int64_t factor, ArrayRef<std::string> layers, bool merges)
      : module(module), plan(pass), factor(factor), layers(layers), merges(merges) {}
  LogicalResult run(StringRef planPath);

private:
  LogicalResult convert(ExpertAxis &axis);
  FailureOr<bool> isMeant(ExpertAxis &axis);
  void findShares(const ExpertAxis &axis);
  bool makesShares(OpResult result) const;
  LogicalResult convertOp(Operation *op);
  LogicalResult convertSelect(SelectOp select);
  LogicalResult convertMix(MixLikeOpInterface mix);
  LogicalResult convertRows(Value value, int64_t axis, StringRef what);

  /// A number of experts afterwards; fails, saying what it counts, where none would be whole.
  FailureOr<int64_t> scaled(Operation *op, int64_t count, StringRef what) const;
  double scaledFactor(double perExpert) const { return merges ? perExpert / factor : perExpert * factor; }
  /// Whether one of these values gets smaller, by the factor, where experts do.
  bool isShared(Value value) const { return shares.contains(value); }

  ModuleOp module;
  Plan plan;
  int64_t factor;
  ArrayRef<std::string> layers;
  bool merges;
  std::optional<ParameterNames> names;
  llvm::DenseSet<Value> shares;
  /// Ops that were converted, and the parameters that were with them.
  llvm::DenseSet<Operation *> converted;
  llvm::SetVector<ParamOp> params;
  /// Types of all values that change.
  llvm::MapVector<Value, Type> types;
};

FailureOr<int64_t> Granularity::scaled(Operation *op, int64_t count, StringRef what) const {
  if (merges && count % factor)
    return op->emitError() << "expected " << what << " to be a multiple of factor = " << factor << ", got " << count;
  if (!merges && count > std::numeric_limits<int32_t>::max() / factor)
    return op->emitError() << "expected " << what << " times factor to fit in i32, got " << count << " * " << factor;
  return merges ? count / factor : count * factor;
}

LogicalResult Granularity::convertRows(Value value, int64_t axis, StringRef what) {
  auto param = value.getDefiningOp<ParamOp>();
  if (!param)
    return emitError(value.getLoc()) << "expected " << what << " to be a parameter of the block that uses it";
  auto type = cast<RankedTensorType>(value.getType());
  FailureOr<int64_t> size = scaled(param, type.getDimSize(axis), "the number of experts");
  if (failed(size))
    return failure();
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = *size;
  types[value] = type.clone(shape);
  params.insert(param);
  for (const std::string &name : names->of(param)) {
    auto rows = merges ? weights::first(weights::tensor(name), axis, factor)
                       : weights::repeat(weights::tensor(name), axis, factor);
    if (failed(plan.set(name, rows, param.getLoc())))
      return failure();
  }
  return success();
}

/// Whether a part of an expert has the factor-th part of this value: softmax divides by a sum that parts make larger.
bool Granularity::makesShares(OpResult result) const {
  Operation *op = result.getOwner();
  if (isa<SoftmaxOp, ProbabilityOp>(op))
    return true;
  if (auto gate = dyn_cast<GateOp>(op))
    return gate.getKind() == GateKind::Softmax || (gate.getKind() == GateKind::Relu && isShared(gate.getVal()));
  if (auto select = dyn_cast<SelectOp>(op))
    return result == select.getVal() && isShared(select.getLogits());
  if (auto gather = dyn_cast<GatherOp>(op))
    return isShared(gather.getLogits());
  if (auto capacity = dyn_cast<CapacityOp>(op))
    return result == capacity->getResult(1) && isShared(capacity.getWeights());
  return false;
}

void Granularity::findShares(const ExpertAxis &axis) {
  for (size_t before = ~size_t(0); before != shares.size();) {
    before = shares.size();
    for (Value value : axis.values)
      if (auto result = dyn_cast<OpResult>(value); result && makesShares(result))
        shares.insert(value);
    for (auto [from, to] : axis.passed)
      if (isShared(from))
        shares.insert(to);
  }
}

LogicalResult Granularity::convertSelect(SelectOp select) {
  auto policy = select.getPolicy();
  if (isShared(select.getLogits()) && isa<ThresholdPolicyAttr>(policy))
    return select.emitError()
           << "shares of experts are compared with a threshold, and those of their parts are smaller";
  FailureOr<int64_t> selected =
      scaled(select, policy.getNumSelected(select.getNumKeys()), "how many experts are selected");
  if (failed(selected))
    return failure();
  MLIRContext *context = select.getContext();
  if (auto threshold = dyn_cast<ThresholdPolicyAttr>(policy))
    policy = ThresholdPolicyAttr::get(context, threshold.getThreshold(), threshold.getSigmoid(), *selected);
  else if (auto choice = dyn_cast<ExpertChoicePolicyAttr>(policy))
    policy = ExpertChoicePolicyAttr::get(
        context, FloatAttr::get(choice.getFactor().getType(), scaledFactor(choice.getFactor().getValueAsDouble())));
  else if (isa<TopKPolicyAttr>(policy))
    policy = TopKPolicyAttr::get(context, *selected);
  else if (!policy.selectsAll())
    return select.emitError() << "the policy " << policy.getPolicyName()
                              << " may select some parts of an expert and not others";
  select.setPolicyAttr(policy);
  return success();
}

LogicalResult Granularity::convertMix(MixLikeOpInterface mix) {
  int64_t rows = mix.getRowsPerExpert(), experts = mix.getNumExperts();
  if (!merges && rows % factor)
    return mix.emitError() << "expected factor to divide the " << rows << " rows of an expert, got " << factor;
  auto type = IntegerType::get(mix.getContext(), 64);
  auto attribute = IntegerAttr::get(type, merges ? rows * factor : rows / factor);
  if (auto plain = dyn_cast<MixOp>(mix.getOperation()))
    plain.setRowsPerExpertAttr(attribute);
  else if (auto quantized = dyn_cast<QuantizedMixOp>(mix.getOperation()))
    quantized.setRowsPerExpertAttr(attribute);
  else
    return mix.emitError() << "op '" << mix->getName() << "' is none whose experts could be of other sizes";

  // A last vector of each row, the value, takes up what the weight loses; of int8 rows its scale does.
  Value carrier = mix.getScales() ? mix.getScales() : mix.getPool();
  for (Value value : {mix.getPool(), carrier})
    if (auto param = value.getDefiningOp<ParamOp>())
      params.insert(param);
  auto param = carrier.getDefiningOp<ParamOp>();
  auto pool = mix.getPool().getDefiningOp<ParamOp>();
  if (!param || !pool)
    return mix.emitError() << "expected the pool to be a parameter of the block that uses it";
  int64_t vectors = param.getType().getDimSize(1);
  for (const std::string &name : names->of(param)) {
    auto before = weights::tensor(name);
    auto values = weights::scale(weights::slice(before, 1, vectors - 1, 1), scaledFactor(1));
    auto after = vectors == 1 ? values : weights::concat(1, {weights::slice(before, 1, 0, vectors - 1), values});
    if (failed(plan.set(name, isShared(mix.getWeights()) ? after : before, mix.getLoc())))
      return failure();
  }
  for (const std::string &name : names->of(pool)) {
    llvm::json::Object layer;
    layer["name"] = name;
    layer["experts_before"] = experts;
    layer["experts"] = merges ? experts / factor : experts * factor;
    layer["rows_per_expert_before"] = rows;
    layer["rows_per_expert"] = attribute.getInt();
    plan.addLayer(std::move(layer));
  }
  return success();
}

LogicalResult Granularity::convertOp(Operation *op) {
  if (!converted.insert(op).second)
    return success();
  auto takesShares = [&](Value value) -> LogicalResult {
    if (!isShared(value))
      return success();
    return op->emitError() << "op '" << op->getName()
                           << "' takes a function of experts' shares, and those of their parts are smaller";
  };
  auto number = [&](StringRef attribute, StringRef what) -> LogicalResult {
    auto before = op->getAttrOfType<IntegerAttr>(attribute);
    FailureOr<int64_t> after = scaled(op, before.getInt(), what);
    if (failed(after))
      return failure();
    op->setAttr(attribute, IntegerAttr::get(before.getType(), *after));
    return success();
  };
  // Losses and capacities count experts: with the factor beside them parts mean what the expert did.
  if (isa<func::ReturnOp, peer::CallOp, func::CallOp, BalanceLossOp>(op))
    return success();
  if (auto select = dyn_cast<SelectOp>(op))
    return convertSelect(select);
  if (auto mix = dyn_cast<MixLikeOpInterface>(op))
    return convertMix(mix);
  if (isa<SoftmaxOp, ProbabilityOp, StraightThroughOp>(op))
    return takesShares(op->getOperand(0));
  if (auto gate = dyn_cast<GateOp>(op))
    return gate.getKind() == GateKind::Softmax || gate.getKind() == GateKind::Sigmoid ? takesShares(gate.getVal())
                                                                                      : success();
  if (isa<GatherOp>(op))
    return success();
  if (isa<ExpertLoadOp>(op))
    return number("keys", "the number of keys");
  if (auto bias = dyn_cast<BalanceBiasOp>(op))
    return failed(takesShares(bias.getLogits())) ? failure() : convertRows(bias.getBias(), 1, "a bias");
  if (auto capacity = dyn_cast<CapacityOp>(op)) {
    double before = capacity.getFactor().convertToDouble();
    capacity.setFactorAttr(FloatAttr::get(Float64Type::get(op->getContext()), scaledFactor(before)));
    return number("experts", "the number of experts");
  }
  return op->emitError() << "op '" << op->getName()
                         << "' reads what a router says, and would compute something else of parts of experts";
}

FailureOr<bool> Granularity::isMeant(ExpertAxis &axis) {
  auto isRow = [](MixLikeOpInterface mix) { return mix.getRowsPerExpert() == 1; };
  return !merges && llvm::any_of(axis.mixes, isRow) ? FailureOr<bool>(false) : axis.isMeant(*names, layers);
}

LogicalResult Granularity::convert(ExpertAxis &axis) {
  if (failed(axis.checkClosed()))
    return failure();
  if (failed(convertRows(axis.score.getKeys(), 2, "the router's rows")))
    return failure();
  converted.insert(axis.score);
  findShares(axis);
  for (auto [from, to] : axis.passed)
    if (isShared(to) && !isShared(from))
      return axis.score.emitError() << "some calls of one block pass weights that are shares of one, and others do not";
  for (Operation *op : axis.ops)
    if (failed(convertOp(op)))
      return failure();
  for (Value value : axis.values) {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> shape(type.getShape());
    FailureOr<int64_t> size = scaled(axis.score, shape.back(), "the number of experts");
    if (failed(size))
      return failure();
    shape.back() = *size;
    types[value] = type.clone(shape);
  }
  return success();
}

LogicalResult Granularity::run(StringRef planPath) {
  if (factor < 2 || factor > 65536)
    return emitError(locationOf(module)) << "expected factor between 2 and 65536, got " << factor;
  FailureOr<ParameterNames> found = ParameterNames::find(module);
  if (failed(found))
    return failure();
  names = std::move(*found);
  SmallVector<ScoreOp> scores;
  module.walk([&](ScoreOp score) { scores.push_back(score); });
  for (ScoreOp score : scores) {
    ExpertAxis axis(module, score);
    FailureOr<bool> meant = isMeant(axis);
    if (failed(meant) || (*meant && failed(convert(axis))))
      return failure();
  }
  if (!plan.hasLayers())
    return emitError(locationOf(module)) << "the model has no layer " << (layers.empty() ? "" : "of these names ")
                                         << "in which a router's own rows select among experts"
                                         << (merges ? "" : " of several rows");
  if (failed(checkReaders(*names, params.getArrayRef(), converted)))
    return failure();
  for (auto &[value, type] : types)
    value.setType(type);
  updateSignatures(module);
  return plan.write(planPath, module.getLoc());
}

struct SplitExpertsPass : peer::impl::SplitExpertsBase<SplitExpertsPass> {
  using SplitExpertsBase::SplitExpertsBase;
  void runOnOperation() override {
    SmallVector<std::string> chosen(layers.begin(), layers.end());
    if (failed(Granularity(getOperation(), "split-experts", factor, chosen, /*merges=*/false).run(plan)))
      signalPassFailure();
  }
};

struct MergeExpertsPass : peer::impl::MergeExpertsBase<MergeExpertsPass> {
  using MergeExpertsBase::MergeExpertsBase;
  void runOnOperation() override {
    SmallVector<std::string> chosen(layers.begin(), layers.end());
    if (failed(Granularity(getOperation(), "merge-experts", factor, chosen, /*merges=*/true).run(plan)))
      signalPassFailure();
  }
};

} // namespace
