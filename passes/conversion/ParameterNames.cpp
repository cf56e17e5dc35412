//===- ParameterNames.cpp - full names of a description's parameters -----===//

#include "ParameterNames.h"

#include "passes/Entries.h"

using namespace mlir;
using namespace peer;

/// A model that can be compiled has some thousand.
static constexpr size_t kMostNames = 100000;

LogicalResult ParameterNames::visit(func::FuncOp function, StringRef prefix, SymbolTable &symbols) {
  if (llvm::is_contained(stack, function))
    return function.emitError() << "@" << function.getName() << " calls itself; a model description cannot recurse";
  stack.push_back(function);
  if (SmallVector<std::string> &known = prefixes[function]; !llvm::is_contained(known, prefix))
    known.push_back(prefix.str());
  auto call = [&](Operation &op, StringRef callee, StringRef inner) -> LogicalResult {
    auto called = symbols.lookup<func::FuncOp>(callee);
    if (!called || called.isExternal())
      return op.emitOpError() << "calls @" << callee << ", which has no body here";
    return visit(called, joinNames(prefix, inner), symbols);
  };
  for (Operation &op : function.getOps()) {
    if (auto param = dyn_cast<ParamOp>(op)) {
      std::string name = joinNames(prefix, param.getName());
      if (!llvm::is_contained(usesOf[name], param)) {
        usesOf[name].push_back(param);
        namesOf[param].push_back(name);
      }
      if (usesOf.size() > kMostNames)
        return param.emitError() << "there are more than " << kMostNames << " parameters up to here";
    } else if (auto inner = dyn_cast<peer::CallOp>(op)) {
      if (failed(call(op, inner.getCallee(), inner.getPrefix())))
        return failure();
    } else if (auto inner = dyn_cast<func::CallOp>(op)) {
      if (failed(call(op, inner.getCallee(), "")))
        return failure();
    } else if (auto repeat = dyn_cast<RepeatOp>(op)) {
      if (repeat.getCount() > kMostNames)
        return repeat.emitError() << "there are more than " << kMostNames << " blocks";
      for (int64_t i = 0; i < int64_t(repeat.getCount()); ++i)
        if (failed(call(op, repeat.getCallee(),
                        joinNames(repeat.getPrefix(), std::to_string(int64_t(repeat.getFrom()) + i)))))
          return failure();
    }
  }
  stack.pop_back();
  return success();
}

FailureOr<ParameterNames> ParameterNames::find(ModuleOp module) {
  ParameterNames found;
  SymbolTable symbols(module);
  llvm::SmallPtrSet<StringAttr, 8> requested;
  for (Operation &op : module.getOps())
    if (auto function = op.getAttrOfType<FlatSymbolRefAttr>("function"))
      requested.insert(function.getAttr());
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (!function.isExternal() && (function.isPublic() || requested.contains(function.getSymNameAttr())))
      if (failed(found.visit(function, "", symbols)))
        return failure();
  return found;
}

FailureOr<ParameterNames> ParameterNames::find(func::FuncOp function, StringRef prefix, SymbolTable &symbols) {
  ParameterNames found;
  if (failed(found.visit(function, prefix, symbols)))
    return failure();
  return found;
}

SmallVector<StringRef> ParameterNames::all() const {
  SmallVector<StringRef> names(usesOf.keys());
  llvm::sort(names);
  return names;
}

ArrayRef<std::string> ParameterNames::prefixesOf(func::FuncOp function) const {
  auto found = prefixes.find(function);
  return found == prefixes.end() ? ArrayRef<std::string>() : ArrayRef<std::string>(found->second);
}

ArrayRef<std::string> ParameterNames::of(ParamOp param) const {
  auto found = namesOf.find(param);
  return found == namesOf.end() ? ArrayRef<std::string>() : ArrayRef<std::string>(found->second);
}

ArrayRef<ParamOp> ParameterNames::uses(StringRef name) const {
  auto found = usesOf.find(name);
  return found == usesOf.end() ? ArrayRef<ParamOp>() : ArrayRef<ParamOp>(found->second);
}

FlatSymbolRefAttr peer::calleeOf(Operation *op) {
  if (isa<peer::CallOp, func::CallOp, RepeatOp>(op))
    return op->getAttrOfType<FlatSymbolRefAttr>("callee");
  return {};
}

Location peer::locationOf(ModuleOp module) {
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      return function.getLoc();
  return module.getLoc();
}

bool peer::isInLayers(StringRef parameter, ArrayRef<std::string> layers) {
  return layers.empty() || llvm::any_of(layers, [&](StringRef layer) {
           return parameter == layer || (parameter.starts_with(layer) && parameter[layer.size()] == '.');
         });
}
