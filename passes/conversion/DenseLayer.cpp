//===- DenseLayer.cpp - feed-forward layers of linear ops ----------------===//

#include "DenseLayer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace peer;

static ParamOp weightOf(LinearOp op) { return op.getWeight().getDefiningOp<ParamOp>(); }

/// A linear op without a bias whose weight is its own.
static LinearOp plainLinear(Value value) {
  auto op = value.getDefiningOp<LinearOp>();
  if (!op || op.getBias() || op.getTransposeX() || !weightOf(op) || !weightOf(op)->hasOneUse())
    return {};
  return op;
}

std::optional<DenseLayer> peer::matchDenseLayer(LinearOp down) {
  if (plainLinear(down.getY()) != down || !down.getX().hasOneUse())
    return std::nullopt;
  DenseLayer layer;
  layer.down = down;
  Value activated = down.getX();
  if (auto product = activated.getDefiningOp<arith::MulFOp>()) {
    bool first = product.getLhs().getDefiningOp<ActivationOp>() != nullptr;
    activated = first ? product.getLhs() : product.getRhs();
    Value other = first ? product.getRhs() : product.getLhs();
    layer.up = other.hasOneUse() ? plainLinear(other) : LinearOp();
    if (!layer.up)
      return std::nullopt;
  }
  auto activation = activated.getDefiningOp<ActivationOp>();
  if (!activation || !activated.hasOneUse() || !activation.getX().hasOneUse())
    return std::nullopt;
  layer.activation = activation.getKind();
  LinearOp inner = plainLinear(activation.getX());
  if (!inner || (layer.up && layer.up.getX() != inner.getX()))
    return std::nullopt;
  (layer.up ? layer.gate : layer.up) = inner;
  if (layer.width() != cast<ShapedType>(layer.x().getType()).getDimSize(1))
    return std::nullopt;
  return layer;
}

int64_t DenseLayer::width() const { return cast<ShapedType>(y().getType()).getDimSize(1); }
int64_t DenseLayer::hidden() const { return cast<ShapedType>(LinearOp(down).getX().getType()).getDimSize(1); }

SmallVector<ParamOp> DenseLayer::params() const {
  SmallVector<ParamOp> found;
  for (LinearOp op : {gate, up, down})
    if (op)
      found.push_back(weightOf(op));
  return found;
}

std::string DenseLayer::localName() const {
  // Whole words of the names, each with its dot.
  StringRef first = params().front().getName(), common = first.take_front(first.rfind('.') + 1);
  for (ParamOp param : params())
    while (!param.getName().starts_with(common))
      common = common.take_front(common.drop_back().rfind('.') + 1);
  return common.empty() ? "" : common.drop_back().str();
}

int64_t DenseLayer::hiddenAxis(ParamOp param) const {
  auto linear = cast<LinearOp>(*param->user_begin());
  return (linear != down) != bool(linear.getTransposeWeight());
}

LogicalResult peer::checkBecomesExperts(const DenseLayer &layer) {
  for (LinearOp op : {layer.gate, layer.up, layer.down})
    if (op && op.getProducts())
      return op.emitError()
             << "expected a layer without 'products', whose weights are the same: experts, which it would "
                "become, have products of f32";
  return success();
}

SmallVector<Value> DenseLayer::hiddenValues() const {
  SmallVector<Value> values{LinearOp(down).getX()};
  for (size_t i = 0; i < values.size(); ++i)
    if (Operation *op = values[i].getDefiningOp(); !isa<LinearOp>(op))
      llvm::append_range(values, op->getOperands());
  return values;
}

weights::Expression DenseLayer::rows(ArrayRef<std::string> full) const {
  SmallVector<weights::Expression> vectors;
  for (auto [param, name] : llvm::zip_equal(params(), full)) {
    weights::Expression matrix = weights::tensor(name);
    if (hiddenAxis(param) == 1)
      matrix = weights::transpose(std::move(matrix), {1, 0});
    vectors.push_back(weights::reshape(std::move(matrix), {hidden(), 1, width()}));
  }
  return weights::concat(1, vectors);
}

SmallVector<DenseInstance> peer::instancesOf(const DenseLayer &layer, const ParameterNames &names) {
  SmallVector<ParamOp> params = layer.params();
  SmallVector<DenseInstance> found;
  for (auto [i, first] : llvm::enumerate(names.of(params.front()))) {
    StringRef outer = StringRef(first).drop_back(params.front().getName().size());
    outer.consume_back(".");
    found.push_back({outer.str(), llvm::map_to_vector(params, [&](ParamOp param) { return names.of(param)[i]; })});
  }
  return found;
}

FailureOr<SmallVector<DenseLayer>> peer::findDenseLayers(ModuleOp module, const ParameterNames &names,
                                                         ArrayRef<std::string> layers) {
  SmallVector<DenseLayer> found;
  LogicalResult result = success();
  module.walk([&](LinearOp op) {
    std::optional<DenseLayer> layer = matchDenseLayer(op);
    if (!layer || failed(result))
      return;
    unsigned meant = 0, all = 0;
    for (ParamOp param : layer->params())
      for (const std::string &name : names.of(param)) {
        ++all;
        meant += isInLayers(name, layers);
        for (ParamOp other : names.uses(name))
          if (other != param)
            all += 2 * layer->params().size(); // shared: no layer's own
      }
    if (meant && meant != all)
      result = op.emitError()
               << "some of the layers that this block describes are to be converted, and others are not or share "
                  "their weights: expected all of them, or a block of its own for each kind";
    else if (meant)
      found.push_back(*layer);
  });
  if (failed(result))
    return failure();
  if (found.empty())
    return failWithoutDenseLayer(module, layers);
  return found;
}

LogicalResult peer::failWithoutDenseLayer(ModuleOp module, ArrayRef<std::string> layers) {
  return emitError(locationOf(module))
         << "the model has no dense feed-forward layer" << (layers.empty() ? "" : " of these names")
         << ": expected peer.linear, peer.activation (times a second peer.linear) and peer.linear, "
            "without biases, with parameters of their own";
}

LogicalResult peer::convertDenseLayers(
    ModuleOp module, ArrayRef<std::string> layers, StringRef pass, StringRef planPath,
    llvm::function_ref<LogicalResult(const DenseLayer &, const ParameterNames &, Plan &)> convert) {
  Plan plan(pass);
  FailureOr<ParameterNames> names = ParameterNames::find(module);
  if (failed(names))
    return failure();
  FailureOr<SmallVector<DenseLayer>> found = findDenseLayers(module, *names, layers);
  if (failed(found))
    return failure();
  for (const DenseLayer &layer : *found)
    if (failed(convert(layer, *names, plan)))
      return failure();
  return plan.write(planPath, module.getLoc());
}

LogicalResult peer::planNew(Plan &plan, const ParameterNames &names, const DenseLayer &layer, StringRef parameter,
                            weights::Expression value) {
  Operation *down = layer.down;
  if (!names.uses(parameter).empty())
    return down->emitError() << "the model has a parameter '" << parameter
                             << "' already, which the converted layer would add";
  return plan.set(parameter, std::move(value), down->getLoc());
}

void peer::eraseLayer(const DenseLayer &layer) {
  SmallVector<Operation *> ops{layer.down};
  for (size_t i = 0; i < ops.size(); ++i) {
    SmallVector<Operation *> before;
    for (Value operand : ops[i]->getOperands())
      if (Operation *op = operand.getDefiningOp(); op && operand != layer.x())
        before.push_back(op);
    if (!ops[i]->use_empty())
      continue;
    ops[i]->erase();
    ops[i] = nullptr;
    for (Operation *op : before)
      if (!llvm::is_contained(ops, op))
        ops.push_back(op);
  }
}
