//===- Model.cpp - verifiers of the model-level ops ----------------------===//

#include "dialect/Names.h"
#include "dialect/PeerOps.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace peer;

/// C1 of all ops that name a function.
static FunctionOpInterface lookUp(Operation *op, SymbolTableCollection &tables, FlatSymbolRefAttr name) {
  auto function = tables.lookupNearestSymbolFrom<FunctionOpInterface>(op, name);
  if (!function)
    op->emitOpError("C1: expected a function of this module, got ") << name;
  return function;
}

/// C1 of all ops that derive an entry from a function.
static FunctionOpInterface lookUpBody(Operation *op, SymbolTableCollection &tables, FlatSymbolRefAttr name) {
  FunctionOpInterface function = lookUp(op, tables, name);
  if (function && function.isExternal()) {
    op->emitOpError("C1: expected ") << name << " to have a body";
    return {};
  }
  return function;
}

/// Whether `name`, of an entry that `request` makes beside its own, is taken. It is no symbol yet, so nobody else sees that.
static bool isTaken(Operation *request, SymbolTableCollection &tables, StringAttr name) {
  Operation *module = SymbolTable::getNearestSymbolTable(request);
  auto isSame = [&](Operation &op) {
    StringRef other;
    if (auto decode = dyn_cast<DecodeOp>(op))
      other = decode.getPrefill();
    else if (auto gradient = dyn_cast<GradientOp>(op))
      other = gradient.getSaved().value_or("");
    else if (auto update = dyn_cast<UpdateRowsOp>(op))
      other = update.getNorm().value_or("");
    return &op != request && other == name.getValue();
  };
  return tables.lookupSymbolIn(module, name) || llvm::any_of(module->getRegion(0).getOps(), isSame);
}

void ParamOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  std::string name = getName().rsplit('.').second.empty() ? getName().str() : getName().rsplit('.').second.str();
  setName(getResult(), name);
}

/// The constraint, numbered `c`, that a prefix of names is one itself, or empty.
static LogicalResult checkPrefix(Operation *op, int c, StringRef prefix) {
  std::string fault = prefix.empty() ? "" : findFault(prefix);
  if (fault.empty())
    return success();
  return op->emitOpError() << "C" << c << ": expected a prefix of names, got " << quote(prefix) << ": " << fault;
}

LogicalResult ParamOp::verify() {
  if (std::string fault = findParameterFault(getName()); !fault.empty())
    return emitOpError("C1: expected a name, got ") << quote(getName()) << ": " << fault;
  if (std::string fault = findGroupFault(getGroup()); !fault.empty())
    return emitOpError("C4: expected the name of a group, got ") << quote(getGroup()) << ": " << fault;
  auto type = getType();
  Type element = type.getElementType();
  bool quantized = element.isSignlessInteger(8) || isa<Float8E4M3FNType>(element);
  if (!type.hasStaticShape() || !(element.isF32() || element.isBF16() || quantized))
    return emitOpError("C2: expected a static tensor of f32, bf16, i8 or f8E4M3FN, got ") << type;
  InitAttr init = getInit();
  if (quantized && (init.getKind() != InitKind::Constant || !init.getA().getValue().isZero()))
    return emitOpError(
        "C3: expected zeros as the initialiser of i8 and f8E4M3FN values, which come from a file of quantized weights");
  if (getBuffer() && getFrozen())
    return emitOpError("C5: expected 'buffer', what training moves, or 'frozen', what nothing moves, got both");
  return success();
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &tables) {
  if (failed(checkPrefix(*this, 3, getPrefix())))
    return failure();
  FunctionOpInterface callee = lookUp(*this, tables, getCalleeAttr());
  if (!callee)
    return failure();
  if (callee.getArgumentTypes() != getInputs().getTypes() || callee.getResultTypes() != getResultTypes())
    return emitOpError("C1: expected the type of ")
           << getCalleeAttr() << ", " << callee.getFunctionType() << ", got "
           << FunctionType::get(getContext(), getInputs().getTypes(), getResultTypes());
  return success();
}

LogicalResult RepeatOp::verify() {
  auto count = int64_t(getCount()), from = int64_t(getFrom());
  if (count < 0 || from < 0)
    return emitOpError("C2: expected a count and a start of at least 0, got ") << count << " and " << from;
  // Each block is compiled.
  constexpr int64_t kMost = 1 << 16;
  if (count > kMost)
    return emitOpError("C2: expected a count of at most ") << kMost << ", got " << count;
  return checkPrefix(*this, 3, getPrefix());
}

LogicalResult RepeatOp::verifySymbolUses(SymbolTableCollection &tables) {
  FunctionOpInterface callee = lookUp(*this, tables, getCalleeAttr());
  if (!callee)
    return failure();
  if (getResultTypes() != getInputs().getTypes())
    return emitOpError("C1: expected results of the operand types, got ")
           << FunctionType::get(getContext(), getInputs().getTypes(), getResultTypes());
  if (callee.getArgumentTypes() != getInputs().getTypes() || callee.getResultTypes() != getInputs().getTypes())
    return emitOpError("C1: expected ") << getCalleeAttr() << " to map " << getInputs().getTypes() << " to itself, got "
                                        << callee.getFunctionType();
  return success();
}

LogicalResult GradientOp::verifySymbolUses(SymbolTableCollection &tables) {
  FunctionOpInterface function = lookUpBody(*this, tables, getFunctionAttr());
  if (!function)
    return failure();
  for (int64_t position : getWrt().value_or(ArrayRef<int64_t>())) {
    ArrayRef<Type> types = function.getArgumentTypes();
    if (position < 0 || position >= int64_t(types.size()) || !isa<FloatType>(getElementTypeOrSelf(types[position])))
      return emitOpError("C2: expected wrt to list floating-point arguments of ")
             << getFunctionAttr() << ", got " << position;
  }
  if (FlatSymbolRefAttr saved = getSavedAttr(); saved && isTaken(*this, tables, saved.getAttr()))
    return emitOpError("C3: expected a saving entry with a name of its own, got ") << saved;
  return success();
}

LogicalResult UpdateRowsOp::verifySymbolUses(SymbolTableCollection &tables) {
  if (StringAttr norm = getNormAttr(); norm && isTaken(*this, tables, norm))
    return emitOpError("C1: expected an entry of the norm with a name of its own, got @") << norm.getValue();
  OptimizerAttrInterface optimizer = getOptimizer();
  if (!optimizer.getLazy())
    return emitOpError("C2: expected a lazy optimizer, since rows that no pair touches are not moved; write 'lazy'");
  if (!optimizer.getClipNorm().getValue().isZero())
    return emitOpError(
        "C2: expected no clip_norm, since the gradients of other parameters are not known here; give the "
        "entry a scale");
  if (std::string fault = findParameterFault(getPool()); !fault.empty())
    return emitOpError("C3: expected the name of a pool, got ") << quote(getPool()) << ": " << fault;
  return success();
}

LogicalResult TrainOp::verifySymbolUses(SymbolTableCollection &tables) {
  FunctionOpInterface function = lookUpBody(*this, tables, getFunctionAttr());
  if (!function)
    return failure();
  // Other passes append results for in-place updates; the loss stays the first one.
  auto loss =
      function.getNumResults() ? dyn_cast<RankedTensorType>(function.getResultTypes().front()) : RankedTensorType();
  if (!loss || loss.getRank() != 0 || !loss.getElementType().isF32())
    return emitOpError("C1: expected ") << getFunctionAttr() << " to return a rank-0 f32 loss";
  for (NamedAttribute group : getGroups().value_or(DictionaryAttr::get(getContext())))
    if (!isa<OptimizerAttrInterface>(group.getValue()))
      return emitOpError("C2: expected group '") << group.getName().getValue() << "' to be #peer.adamw or #peer.sgd";
  return success();
}

LogicalResult DecodeOp::verifySymbolUses(SymbolTableCollection &tables) {
  FunctionOpInterface function = lookUpBody(*this, tables, getFunctionAttr());
  if (!function)
    return failure();
  if (isTaken(*this, tables, getPrefillAttr()))
    return emitOpError("C2: expected a prefill entry with a name of its own, got @") << getPrefill();
  auto tokens =
      function.getNumArguments() ? dyn_cast<RankedTensorType>(function.getArgumentTypes().front()) : RankedTensorType();
  if (!tokens || tokens.getRank() != 1 || !tokens.getElementType().isInteger(32) || function.getNumResults() != 1 ||
      !isa<RankedTensorType>(function.getResultTypes().front()))
    return emitOpError("C1: expected ") << getFunctionAttr() << " to map tokens, a vector of i32, to one tensor";
  return success();
}

LogicalResult MarkOp::verify() {
  if (getBytes().size() != 2 || getFlops().size() != 2)
    return emitOpError("C1: expected bytes and flops of two numbers each, got ")
           << getBytes().size() << " and " << getFlops().size();
  return success();
}
