//===- Dsmoe.cpp - blocks of a dense layer behind sigmoid gates -----------===//

#include "Conversions.h"
#include "DenseLayer.h"
#include "LayerBuilder.h"

#include "passes/Entries.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

#include <cmath>

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DSMOE
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

/// Gates begin near the threshold: about half of the blocks are on, and small steps change which.
static constexpr double kRouterStd = 0.02;
static constexpr double kPoolStd = 0.02;

namespace {

struct Gated {
  Value y, share; // of the layer; the share of blocks that are on, rank 0
};

class Dsmoe {
public:
  Dsmoe(ModuleOp module, int64_t experts, double sparsity) : module(module), experts(experts), sparsity(sparsity) {}
  LogicalResult run(ArrayRef<std::string> layers, StringRef plan);

private:
  LogicalResult planLayer(const DenseLayer &layer, const ParameterNames &names, Plan &plan);
  Gated convert(const DenseLayer &layer, bool training);
  bool isConcerned(func::FuncOp function);
  /// What training computes of a function: blocks that are off have gradients there, and the shares of those that are on are added to one more argument.
  func::FuncOp copyForTraining(func::FuncOp function, bool isLoss);
  Value copyOps(func::FuncOp copy, const IRMapping &mapping, Value sum);
  Value scalar(OpBuilder &builder, Location loc, double value);
  void train(Operation *request);

  ModuleOp module;
  int64_t experts;
  double sparsity;
  SmallVector<DenseLayer> found;
  int64_t places = 0;
  llvm::DenseMap<Operation *, bool> concerned;
  llvm::DenseMap<Operation *, func::FuncOp> copies;
};

LogicalResult Dsmoe::planLayer(const DenseLayer &layer, const ParameterNames &names, Plan &plan) {
  LinearOp down = layer.down;
  if (experts < 1 || layer.hidden() % experts)
    return down->emitError() << "expected experts to divide the " << layer.hidden()
                             << " hidden units of the layer, got " << experts;
  if (failed(checkBecomesExperts(layer)))
    return failure();
  for (const DenseInstance &instance : instancesOf(layer, names)) {
    llvm::json::Object report;
    std::string name = joinNames(instance.outer, layer.localName());
    report["name"] = name;
    report["hidden"] = layer.hidden();
    report["experts"] = experts;
    plan.addLayer(std::move(report));
    if (failed(planNew(plan, names, layer, joinNames(name, "router"), weights::initial())) ||
        failed(planNew(plan, names, layer, joinNames(name, "experts"), layer.rows(instance.params))))
      return failure();
    ++places;
  }
  return success();
}

Value Dsmoe::scalar(OpBuilder &builder, Location loc, double value) {
  auto type = RankedTensorType::get({}, builder.getF32Type());
  return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, float(value)));
}

Gated Dsmoe::convert(const DenseLayer &layer, bool training) {
  LinearOp down = layer.down;
  Location loc = down->getLoc();
  OpBuilder builder(down);
  LayerBuilder parts(down, layer.localName());
  MLIRContext *context = module.getContext();
  Value x = layer.x();
  Value router = parts.normal("router", {1, 1, experts, layer.width()}, kRouterStd);
  Value scores = parts.score(parts.reshape(x, {1, 1, layer.width()}), router);
  Attribute policy = AllPolicyAttr::get(context);
  if (!training)
    policy = ThresholdPolicyAttr::get(context, builder.getF64FloatAttr(0.5), /*sigmoid=*/true, experts);
  auto [idx, val] = parts.select(scores, policy);
  Value gates;
  if (training)
    gates = StraightThroughOp::create(builder, loc, val, UnitAttr(), builder.getF32FloatAttr(0.5), ValueRange())
                .getWeights();
  else
    gates = parts.gate(val, GateKind::One);
  Value pool = parts.normal("experts", {layer.hidden(), layer.vectors(), layer.width()}, kPoolStd, "experts");
  Value mixed = parts.mix(x, idx, gates, pool, layer.activation, layer.hidden() / experts);
  // Divided by the share of blocks that are on; there is none between 0 and that of one.
  Value on = ReduceOp::create(builder, loc, ReduceKind::Mean, gates, ArrayRef<int64_t>{1, 2}, ValueRange()).getY();
  Value least = BroadcastOp::create(builder, loc, scalar(builder, loc, 0.5 / double(experts)), on, ArrayRef<int64_t>{0},
                                    ValueRange())
                    .getY();
  Value share = arith::MaximumFOp::create(builder, loc, on, least);
  Value divisor = BroadcastOp::create(builder, loc, share, mixed, ArrayRef<int64_t>{1}, ValueRange()).getY();
  Value y = arith::DivFOp::create(builder, loc, mixed, divisor);
  Value mean = training ? Value(MeanOp::create(builder, loc, on, ValueRange()).getMean()) : Value();
  layer.y().replaceAllUsesWith(y);
  eraseLayer(layer);
  return {y, mean};
}

bool Dsmoe::isConcerned(func::FuncOp function) {
  auto [known, isNew] = concerned.try_emplace(function, false);
  if (!isNew)
    return known->second;
  bool result = llvm::any_of(found, [&](const DenseLayer &layer) {
    return LinearOp(layer.down)->getParentOfType<func::FuncOp>() == function;
  });
  for (Operation &op : function.getOps())
    if (FlatSymbolRefAttr callee = calleeOf(&op))
      result |= isConcerned(module.lookupSymbol<func::FuncOp>(callee.getValue()));
  return concerned[function] = result;
}

/// Walks a copy in order; returns the sum of shares at its end.
Value Dsmoe::copyOps(func::FuncOp copy, const IRMapping &mapping, Value sum) {
  llvm::DenseMap<Operation *, DenseLayer> layers;
  for (DenseLayer layer : found)
    if (Operation *down = mapping.lookupOrNull(LinearOp(layer.down).getOperation())) {
      for (LinearOp *op : {&layer.gate, &layer.up, &layer.down})
        if (*op)
          *op = cast<LinearOp>(mapping.lookup(op->getOperation()));
      layers.try_emplace(down, layer);
    }
  SmallVector<Operation *> ops;
  for (Operation &op : copy.getOps())
    if (layers.contains(&op) || calleeOf(&op))
      ops.push_back(&op);
  for (Operation *op : ops) {
    if (auto layer = layers.find(op); layer != layers.end()) {
      Value share = convert(layer->second, /*training=*/true).share;
      OpBuilder builder(share.getContext());
      builder.setInsertionPointAfterValue(share);
      sum = arith::AddFOp::create(builder, share.getLoc(), sum, share);
      continue;
    }
    auto callee = module.lookupSymbol<func::FuncOp>(calleeOf(op).getValue());
    if (!isConcerned(callee))
      continue;
    func::FuncOp inner = copyForTraining(callee, /*isLoss=*/false);
    OperationState state(op->getLoc(), op->getName());
    state.addOperands(op->getOperands());
    state.addOperands(sum);
    state.addTypes(op->getResultTypes());
    state.addTypes(sum.getType());
    state.addAttributes(op->getAttrs());
    OpBuilder builder(op);
    Operation *call = builder.create(state);
    call->setAttr("callee", FlatSymbolRefAttr::get(inner.getSymNameAttr()));
    op->replaceAllUsesWith(call->getResults().drop_back());
    op->erase();
    sum = call->getResults().back();
  }
  return sum;
}

func::FuncOp Dsmoe::copyForTraining(func::FuncOp function, bool isLoss) {
  if (auto known = copies.find(function); known != copies.end())
    return known->second;
  IRMapping mapping;
  auto copy = cast<func::FuncOp>(function->clone(mapping));
  std::string name = (function.getName() + "_in_training").str();
  while (module.lookupSymbol(name))
    name += "_";
  copy.setName(name);
  copy.setPrivate();
  copy->removeAttr(attrs::kKind);
  OpBuilder builder(function);
  builder.insert(copy);
  copies[function] = copy;
  Location loc = function.getLoc();
  Operation *end = copy.getBody().front().getTerminator();
  if (isLoss) {
    builder.setInsertionPointToStart(&copy.getBody().front());
    Value sum = copyOps(copy, mapping, scalar(builder, loc, 0));
    builder.setInsertionPoint(end);
    Value scaled = arith::MulFOp::create(builder, loc, sum, scalar(builder, loc, sparsity / double(places)));
    end->setOperand(0, arith::AddFOp::create(builder, loc, end->getOperand(0), scaled));
    return copy;
  }
  Type type = RankedTensorType::get({}, builder.getF32Type());
  (void)copy.insertArgument(copy.getNumArguments(), type, {}, loc);
  Value sum = copyOps(copy, mapping, copy.getArguments().back());
  (void)copy.insertResult(copy.getNumResults(), type, {});
  end->insertOperands(end->getNumOperands(), sum);
  return copy;
}

/// A request for a training step asks for that of the copy; what it asked for before stays, as what measures the model.
void Dsmoe::train(Operation *request) {
  auto name = request->getAttrOfType<FlatSymbolRefAttr>("function");
  auto loss = module.lookupSymbol<func::FuncOp>(name.getValue());
  if (!loss || !isConcerned(loss))
    return;
  func::FuncOp copy = copyForTraining(loss, /*isLoss=*/true);
  request->setAttr("function", FlatSymbolRefAttr::get(copy.getSymNameAttr()));
  bool isMeasured = llvm::any_of(module.getOps<func::FuncOp>(), [](func::FuncOp function) {
    auto kind = function->getAttrOfType<StringAttr>(attrs::kKind);
    return function.isPublic() && kind && kind.getValue() == kind::kLoss;
  });
  if (!isMeasured) {
    loss->setAttr(attrs::kKind, StringAttr::get(module.getContext(), kind::kLoss));
    loss.setPublic();
  }
}

LogicalResult Dsmoe::run(ArrayRef<std::string> layers, StringRef planPath) {
  if (!(sparsity >= 0 && std::isfinite(sparsity)))
    return emitError(module.getLoc()) << "expected sparsity to be a finite number from 0 on, got " << sparsity;
  Plan plan("dsmoe");
  FailureOr<ParameterNames> names = ParameterNames::find(module);
  if (failed(names))
    return failure();
  FailureOr<SmallVector<DenseLayer>> meant = findDenseLayers(module, *names, layers);
  if (failed(meant))
    return failure();
  found = *meant;
  for (const DenseLayer &layer : found)
    if (failed(planLayer(layer, *names, plan)))
      return failure();
  for (TrainOp request : module.getOps<TrainOp>())
    train(request);
  for (const DenseLayer &layer : found)
    convert(layer, /*training=*/false);
  eraseUnused(module, [&](func::FuncOp function) { return copies.contains(function); });
  return plan.write(planPath, module.getLoc());
}

struct DsmoePass : peer::impl::DsmoeBase<DsmoePass> {
  using DsmoeBase::DsmoeBase;
  void runOnOperation() override {
    SmallVector<std::string> chosen(layers.begin(), layers.end());
    if (failed(Dsmoe(getOperation(), experts, sparsity).run(chosen, plan)))
      signalPassFailure();
  }
};

} // namespace
