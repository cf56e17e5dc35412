//===- Matformer.cpp - a model of the first hidden units of dense layers --===//

#include "Conversions.h"
#include "DenseLayer.h"
#include "ParameterNames.h"
#include "Plan.h"
#include "RepeatRuns.h"

#include "passes/Entries.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <map>

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_MATFORMER
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

namespace {

/// What becomes of a parameter: of one dimension the first elements.
struct Narrowed {
  int64_t axis, size;
  bool operator==(const Narrowed &) const = default;
};

class Extraction {
public:
  Extraction(ModuleOp module, ArrayRef<std::string> layers, ArrayRef<int64_t> widths)
      : module(module), layers(layers), widths(widths) {}
  LogicalResult run(StringRef plan);

private:
  /// Each layer in the order in which entries come to it, and what becomes of its parameters.
  LogicalResult chooseWidths(const ParameterNames &names);
  void findInstances(func::FuncOp function, StringRef prefix);
  /// What stands for a function at a place: a copy for each set of widths, the first of which has its name.
  FailureOr<StringRef> specialize(func::FuncOp function, StringRef prefix);
  LogicalResult narrow(func::FuncOp copy, StringRef prefix);
  /// Of a smaller model that takes more hidden units than the extracted one has, and is that one then.
  LogicalResult narrow(SliceOp slice, int64_t size);
  LogicalResult redirectCalls(func::FuncOp copy, StringRef prefix);

  ModuleOp module;
  ArrayRef<std::string> layers;
  ArrayRef<int64_t> widths;
  struct Instance {
    DenseLayer layer;
    std::string outer;
  };
  std::vector<std::pair<std::string, Instance>> instances; // by the names of layers
  std::map<std::string, Narrowed> narrowed;                // by full names of parameters
  SymbolTableCollection tables;
  llvm::MapVector<Operation *, SmallVector<std::pair<std::string, func::FuncOp>>> copies; // by their sizes
  std::vector<std::pair<func::FuncOp, std::string>> waiting; // copies, and where they are used
  Plan weights{"matformer"};
};

func::FuncOp functionOf(Operation &op, SymbolTableCollection &tables) {
  FlatSymbolRefAttr callee = calleeOf(&op);
  return callee ? tables.lookupNearestSymbolFrom<func::FuncOp>(&op, callee) : func::FuncOp();
}

void Extraction::findInstances(func::FuncOp function, StringRef prefix) {
  for (Operation &op : function.getOps()) {
    if (auto linear = dyn_cast<LinearOp>(op)) {
      if (std::optional<DenseLayer> layer = matchDenseLayer(linear)) {
        std::string name = joinNames(prefix, layer->localName());
        bool isKnown = llvm::any_of(instances, [&](const auto &known) { return known.first == name; });
        bool isMeant = llvm::all_of(
            layer->params(), [&](ParamOp param) { return isInLayers(joinNames(prefix, param.getName()), layers); });
        if (!isKnown && isMeant)
          instances.push_back({name, {*layer, prefix.str()}});
      }
    } else if (auto repeat = dyn_cast<RepeatOp>(op)) {
      for (int64_t i = 0; i < int64_t(repeat.getCount()); ++i)
        findInstances(functionOf(op, tables),
                      joinNames(joinNames(prefix, repeat.getPrefix()), std::to_string(int64_t(repeat.getFrom()) + i)));
    } else if (func::FuncOp callee = functionOf(op, tables)) {
      auto call = dyn_cast<peer::CallOp>(op);
      findInstances(callee, call ? joinNames(prefix, call.getPrefix()) : prefix.str());
    }
  }
}

LogicalResult Extraction::chooseWidths(const ParameterNames &names) {
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (llvm::is_contained(names.prefixesOf(function), ""))
      findInstances(function, "");
  if (instances.empty())
    return failWithoutDenseLayer(module, layers);
  if (widths.size() != 1 && widths.size() != instances.size()) {
    InFlightDiagnostic diag = emitError(locationOf(module));
    diag << "expected a width for all " << instances.size() << " dense layers (";
    llvm::interleaveComma(instances, diag, [&](const auto &instance) { diag << instance.first; });
    return diag << "), or one for each, got " << widths.size();
  }
  for (auto [i, entry] : llvm::enumerate(instances)) {
    auto &[name, instance] = entry;
    DenseLayer &layer = instance.layer;
    int64_t width = widths[widths.size() == 1 ? 0 : i], hidden = layer.hidden();
    if (width < 1 || width > hidden)
      return layer.down->emitError() << "expected a width between 1 and the " << hidden << " hidden units of " << name
                                     << ", got " << width;
    llvm::json::Object report;
    report["name"] = name;
    report["hidden_before"] = hidden;
    report["hidden"] = width;
    weights.addLayer(std::move(report));
    for (ParamOp param : layer.params()) {
      std::string full = joinNames(instance.outer, param.getName());
      Narrowed rule{layer.hiddenAxis(param), width};
      if (auto [known, isNew] = narrowed.try_emplace(full, rule); !isNew && known->second != rule)
        return param.emitError() << "parameter '" << full << "' is one of several dense layers";
      if (width != hidden &&
          failed(weights.set(full, weights::slice(weights::tensor(full), rule.axis, 0, width), param.getLoc())))
        return failure();
    }
  }
  return success();
}

LogicalResult Extraction::narrow(SliceOp slice, int64_t size) {
  auto resize = [&](Value value, int64_t axis) {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape[axis] = size;
    value.setType(type.clone(shape));
  };
  slice.setSize(size);
  resize(slice.getY(), slice.getDim());
  SmallVector<Value> hidden;
  for (Operation *user : slice->getUsers())
    if (auto linear = dyn_cast<LinearOp>(user); !linear || linear.getWeight() != slice.getY())
      return user->emitError() << "op '" << user->getName() << "' takes more than the " << size
                               << " hidden units of the extracted model";
    else if (int64_t(slice.getDim()) == (linear.getTransposeWeight() ? 0 : 1))
      hidden.push_back(linear.getY());
  for (size_t i = 0; i < hidden.size(); ++i) {
    resize(hidden[i], 1);
    for (Operation *user : hidden[i].getUsers())
      if (!isa<LinearOp>(user) && !llvm::is_contained(hidden, user->getResult(0)))
        hidden.push_back(user->getResult(0));
  }
  return success();
}

LogicalResult Extraction::narrow(func::FuncOp copy, StringRef prefix) {
  // The layers, as long as their types say what they are.
  SmallVector<DenseLayer> found;
  for (LinearOp op : copy.getOps<LinearOp>())
    if (std::optional<DenseLayer> layer = matchDenseLayer(op);
        layer && narrowed.contains(joinNames(prefix, layer->params().front().getName())))
      found.push_back(*layer);
  llvm::DenseSet<Operation *> layers;
  for (const DenseLayer &layer : found)
    for (ParamOp param : layer.params())
      layers.insert(param);
  auto isPrefix = [](SliceOp slice, int64_t axis) {
    return slice && int64_t(slice.getDim()) == axis && slice.getFrom() == 0;
  };
  for (ParamOp param : copy.getOps<ParamOp>()) {
    auto rule = narrowed.find(joinNames(prefix, param.getName()));
    if (rule == narrowed.end())
      continue;
    auto [axis, size] = rule->second;
    // Smaller models that are nested in this one take first elements, too.
    for (Operation *user : param->getUsers())
      if (auto slice = dyn_cast<SliceOp>(user); !layers.contains(param) && !isPrefix(slice, axis))
        return user->emitError() << "'" << param.getName() << "' is narrower in the extracted model, and op '"
                                 << user->getName() << "' takes more of it than first hidden units";
      else if (slice && int64_t(slice.getSize()) > size && failed(narrow(slice, size)))
        return failure();
    SmallVector<int64_t> shape(param.getType().getShape());
    shape[axis] = size;
    param.getResult().setType(param.getType().clone(shape));
  }
  for (const DenseLayer &layer : found) {
    int64_t width = narrowed.at(joinNames(prefix, layer.params().front().getName())).size;
    for (Value value : layer.hiddenValues()) {
      auto type = cast<RankedTensorType>(value.getType());
      value.setType(type.clone({type.getDimSize(0), width}));
    }
  }
  return success();
}

LogicalResult Extraction::redirectCalls(func::FuncOp copy, StringRef prefix) {
  for (Operation &op : llvm::make_early_inc_range(copy.getOps())) {
    FlatSymbolRefAttr callee = calleeOf(&op);
    if (!callee)
      continue;
    auto called = tables.lookupSymbolIn<func::FuncOp>(module, callee);
    auto repeat = dyn_cast<RepeatOp>(op);
    if (!repeat) {
      auto call = dyn_cast<peer::CallOp>(op);
      FailureOr<StringRef> name = specialize(called, call ? joinNames(prefix, call.getPrefix()) : prefix.str());
      if (failed(name))
        return failure();
      op.setAttr("callee", FlatSymbolRefAttr::get(module.getContext(), *name));
      continue;
    }
    // Blocks of the same widths that follow each other stay one repeat.
    RepeatRuns runs(repeat);
    for (int64_t i = 0; i < int64_t(repeat.getCount()); ++i) {
      int64_t number = int64_t(repeat.getFrom()) + i;
      FailureOr<StringRef> name =
          specialize(called, joinNames(joinNames(prefix, repeat.getPrefix()), std::to_string(number)));
      if (failed(name))
        return failure();
      runs.append(number, *name);
    }
    runs.finish();
  }
  return success();
}

FailureOr<StringRef> Extraction::specialize(func::FuncOp function, StringRef prefix) {
  FailureOr<ParameterNames> names = ParameterNames::find(function, prefix, tables.getSymbolTable(module));
  if (failed(names))
    return failure();
  std::string sizes;
  for (StringRef name : names->all())
    if (auto rule = narrowed.find(name.str()); rule != narrowed.end())
      sizes += std::to_string(rule->second.size) + ",";
  auto &made = copies[function];
  for (auto &[known, copy] : made)
    if (known == sizes)
      return copy.getName();
  func::FuncOp copy = function.clone();
  if (size_t number = made.size()) {
    std::string name;
    do
      name = (function.getName() + "_" + Twine(++number)).str();
    while (tables.lookupSymbolIn(module, StringAttr::get(module.getContext(), name)));
    copy.setName(name);
    copy.setPrivate();
  }
  made.push_back({sizes, copy});
  waiting.push_back({copy, prefix.str()});
  return copy.getName();
}

LogicalResult Extraction::run(StringRef plan) {
  FailureOr<ParameterNames> names = ParameterNames::find(module);
  if (failed(names) || failed(chooseWidths(*names)) || failed(weights.write(plan, module.getLoc())))
    return failure();
  LogicalResult result = success();
  // Entries come first, so that they keep their names.
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (llvm::is_contained(names->prefixesOf(function), "") && failed(specialize(function, "")))
      result = failure();
  for (size_t i = 0; i < waiting.size() && succeeded(result); ++i)
    if (auto [copy, prefix] = waiting[i]; failed(narrow(copy, prefix)) || failed(redirectCalls(copy, prefix)))
      result = failure();
  for (auto &[original, made] : copies) {
    OpBuilder builder(original);
    for (auto &[ignored, copy] : made)
      if (succeeded(result))
        builder.insert(copy);
      else
        copy->erase();
    if (succeeded(result))
      original->erase();
  }
  return result;
}

struct MatformerPass : peer::impl::MatformerBase<MatformerPass> {
  using MatformerBase::MatformerBase;
  void runOnOperation() override {
    SmallVector<std::string> chosen(layers.begin(), layers.end());
    SmallVector<int64_t> kept(widths.begin(), widths.end());
    if (failed(Extraction(getOperation(), chosen, kept).run(plan)))
      signalPassFailure();
  }
};

} // namespace
