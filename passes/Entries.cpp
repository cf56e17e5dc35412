//===- Entries.cpp - building and describing entries ---------------------===//

#include "Entries.h"

#include "dialect/Names.h"
#include "passes/analysis/TokenCounts.h"
#include "passes/analysis/ValueRanges.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace peer;

std::string peer::joinNames(StringRef prefix, StringRef name) {
  if (prefix.empty() || name.empty())
    return (prefix + name).str();
  return (prefix + "." + name).str();
}

EntryBuilder::EntryBuilder(Operation *before, StringRef name, StringRef kind, StringRef of)
    : builder(before->getContext()) {
  builder.setInsertionPoint(before);
  function = func::FuncOp::create(builder, before->getLoc(), name, builder.getFunctionType({}, {}));
  function->setAttr(attrs::kKind, builder.getStringAttr(kind));
  if (!of.empty())
    function->setAttr(attrs::kOf, builder.getStringAttr(of));
  body = &function.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(body);
}

EntryBuilder::~EntryBuilder() {
  if (!finished)
    function.erase();
}

BlockArgument EntryBuilder::addArgument(Type type, Location loc, StringRef name, StringRef role,
                                        ParameterAttr parameter) {
  SmallVector<NamedAttribute> attributes = {builder.getNamedAttr(attrs::kName, builder.getStringAttr(name)),
                                            builder.getNamedAttr(attrs::kRole, builder.getStringAttr(role))};
  if (parameter)
    attributes.push_back(builder.getNamedAttr(attrs::kParameter, parameter));
  argumentAttrs.push_back(builder.getDictionaryAttr(attributes));
  return body->addArgument(type, loc);
}

BlockArgument EntryBuilder::addArgumentLike(func::FuncOp source, unsigned index, Type type) {
  BlockArgument original = source.getArgument(index);
  NamedAttrList attributes(source.getArgAttrDict(index));
  // A function that was not an entry yet may leave out what entries say.
  if (!attributes.get(attrs::kName))
    attributes.set(attrs::kName, builder.getStringAttr("arg" + Twine(index)));
  if (!attributes.get(attrs::kRole))
    attributes.set(attrs::kRole, builder.getStringAttr(getParameter(source, index) ? role::kParameter : role::kInput));
  argumentAttrs.push_back(attributes.getDictionary(builder.getContext()));
  return body->addArgument(type ? type : original.getType(), original.getLoc());
}

void EntryBuilder::addResult(Value value, StringRef name, std::optional<BlockArgument> updates) {
  SmallVector<NamedAttribute> attributes = {builder.getNamedAttr(attrs::kName, builder.getStringAttr(name))};
  if (updates)
    attributes.push_back(builder.getNamedAttr(attrs::kUpdates, builder.getI64IntegerAttr(updates->getArgNumber())));
  resultAttrs.push_back(builder.getDictionaryAttr(attributes));
  results.push_back(value);
}

/// What an argument is, in words, and how to get it another name.
static std::pair<StringRef, StringRef> describeRole(StringRef role) {
  if (role == role::kParameter)
    return {"a parameter", "rename the parameter"};
  if (role == role::kState)
    return {"a state that the entry keeps", ""};
  if (role == role::kScalar)
    return {"a number that the entry is given", ""};
  return {"an input", "rename the input"};
}

/// Two arguments of one name, the second at `i`. It is a person's that has to change.
static LogicalResult refuseTwins(func::FuncOp function, unsigned first, unsigned second) {
  auto isOurs = [&](unsigned i) { return describeRole(getRole(function, i)).second.empty(); };
  if (isOurs(first))
    std::swap(first, second);
  auto [what, cure] = describeRole(getRole(function, first));
  InFlightDiagnostic diag = emitError(function.getArgument(first).getLoc())
                            << "entry @" << function.getName() << " has two arguments named "
                            << quote(getArgumentName(function, first)) << ", " << what << " and "
                            << describeRole(getRole(function, second)).first;
  if (!cure.empty())
    diag << "; " << cure;
  diag.attachNote(function.getArgument(second).getLoc()) << "the other one comes from here";
  return diag;
}

/// Names identify tensors in files, so none may appear twice. A histogram of usage
/// is named after its pool, and an updated tensor has the name of its argument.
static LogicalResult checkNames(func::FuncOp function) {
  if (std::string fault = findFault(function.getName()); !fault.empty())
    return function.emitError() << "an entry cannot be called " << quote(function.getName()) << ": " << fault;
  llvm::StringMap<unsigned> names;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    StringRef name = getArgumentName(function, i), role = getRole(function, i);
    std::string fault = role == role::kParameter ? findParameterFault(name) : findTensorFault(name);
    if (!fault.empty())
      return emitError(function.getArgument(i).getLoc())
             << "entry @" << function.getName() << " has an argument named " << quote(name) << ": " << fault;
    if (role == role::kUsage)
      continue;
    auto [it, isNew] = names.try_emplace(name, i);
    if (!isNew)
      return refuseTwins(function, it->second, i);
  }
  names.clear();
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    StringRef name = getResultName(function, i);
    if (std::string fault = findTensorFault(name); !fault.empty())
      return function.emitError() << "entry @" << function.getName() << " has a result named " << quote(name) << ": "
                                  << fault;
    if (!function.getResultAttr(i, attrs::kUpdates) && !names.try_emplace(name, i).second)
      return function.emitError() << "entry @" << function.getName() << " has two results named " << quote(name)
                                  << "; rename one";
  }
  return success();
}

/// Values that enter and leave have a type that files and other programs have, too.
static LogicalResult checkTypes(func::FuncOp function) {
  auto check = [&](Location loc, StringRef what, StringRef name, Type type) -> LogicalResult {
    Type element = getElementTypeOrSelf(type);
    if (element.isF64() || element.isF32() || element.isBF16() || element.isF16() || element.isSignlessInteger(8) ||
        element.isSignlessInteger(16) || isa<Float8E4M3FNType>(element) || element.isSignlessInteger(32) ||
        element.isSignlessInteger(64))
      return success();
    InFlightDiagnostic diag =
        emitError(loc) << "entry @" << function.getName() << " has " << what << " " << quote(name) << " of " << type
                       << "; what enters and leaves is f32, bf16, f16, f64, f8E4M3FN, i8, i16, i32 or i64";
    if (element.isInteger(1))
      diag << " (arith.extui makes an i8 of an i1)";
    return diag;
  };
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (failed(check(function.getArgument(i).getLoc(), "an argument", getArgumentName(function, i),
                     function.getArgument(i).getType())))
      return failure();
  Operation *end = function.front().getTerminator();
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (failed(
            check(end->getOperand(i).getLoc(), "a result", getResultName(function, i), end->getOperand(i).getType())))
      return failure();
  return success();
}

FailureOr<func::FuncOp> EntryBuilder::finish() {
  builder.setInsertionPointToEnd(body);
  func::ReturnOp::create(builder, function.getLoc(), results);
  function.setFunctionType(builder.getFunctionType(body->getArgumentTypes(), ValueRange(results).getTypes()));
  function.setAllArgAttrs(argumentAttrs);
  function.setAllResultAttrs(resultAttrs);
  if (failed(checkNames(function)) || failed(checkTypes(function)))
    return failure();
  describeEntry(function);
  finished = true;
  return function;
}

//===----------------------------------------------------------------------===//
// What follows from the body
//===----------------------------------------------------------------------===//

/// Intersects `range` with what the uses of a value want of it, directly or under another shape.
static void intersectWanted(Value value, std::optional<IndexRange> &range) {
  for (OpOperand &use : value.getUses()) {
    if (keepsElements(use.getOwner()))
      intersectWanted(use.getOwner()->getResult(0), range);
    std::optional<IndexRange> wanted = getIndexRange(use);
    if (!wanted)
      continue;
    range =
        range ? IndexRange(std::max(range->first, wanted->first), std::min(range->second, wanted->second)) : *wanted;
  }
}

/// Intersects the ranges that a description gives and that all uses of an argument want.
static void describeRange(func::FuncOp function, unsigned index) {
  std::optional<IndexRange> range;
  if (auto given = function.getArgAttrOfType<ArrayAttr>(index, attrs::kRange))
    range = IndexRange(cast<IntegerAttr>(given[0]).getInt(), cast<IntegerAttr>(given[1]).getInt());
  intersectWanted(function.getArgument(index), range);
  if (range)
    function.setArgAttr(index, attrs::kRange, Builder(function).getI64ArrayAttr({range->first, range->second}));
}

void peer::describeEntry(func::FuncOp function) {
  Builder builder(function);
  if (int64_t multiple = TokenCounts(function).multipleOf(); multiple > 1)
    function->setAttr(attrs::kMultipleOf, builder.getI64IntegerAttr(multiple));
  else
    function->removeAttr(attrs::kMultipleOf);

  SmallVector<bool> updated(function.getNumArguments(), false);
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (auto argument = function.getResultAttrOfType<IntegerAttr>(i, attrs::kUpdates))
      updated[argument.getInt()] = true;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    if (!isa<TensorType>(function.getArgument(i).getType()))
      continue;
    function.setArgAttr(i, bufferization::BufferizationDialect::kWritableAttrName, builder.getBoolAttr(updated[i]));
    if (getElementTypeOrSelf(function.getArgument(i).getType()).isInteger())
      describeRange(function, i);
  }
}

//===----------------------------------------------------------------------===//
// Reading attributes
//===----------------------------------------------------------------------===//

ParameterAttr peer::getParameter(func::FuncOp function, unsigned argument) {
  return function.getArgAttrOfType<ParameterAttr>(argument, attrs::kParameter);
}

StringRef peer::getRole(func::FuncOp function, unsigned argument) {
  auto attr = function.getArgAttrOfType<StringAttr>(argument, attrs::kRole);
  return attr ? attr.getValue() : StringRef();
}

StringRef peer::getArgumentName(func::FuncOp function, unsigned argument) {
  auto attr = function.getArgAttrOfType<StringAttr>(argument, attrs::kName);
  return attr ? attr.getValue() : StringRef();
}

StringRef peer::getResultName(func::FuncOp function, unsigned result) {
  auto attr = function.getResultAttrOfType<StringAttr>(result, attrs::kName);
  return attr ? attr.getValue() : StringRef();
}

LogicalResult peer::checkKeptTensors(ModuleOp module) {
  llvm::StringMap<BlockArgument> kept;
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      StringRef role = getRole(function, i), name = getArgumentName(function, i);
      if (function.isExternal() || (role != role::kState && role != role::kUsage))
        continue;
      BlockArgument argument = function.getArgument(i);
      BlockArgument first = kept.try_emplace((role + "/" + name).str(), argument).first->second;
      auto type = cast<ShapedType>(argument.getType()), other = cast<ShapedType>(first.getType());
      if (type == other)
        continue;
      StringRef otherName = cast<func::FuncOp>(first.getOwner()->getParentOp()).getName();
      InFlightDiagnostic diag = emitError(argument.getLoc());
      if (role == role::kUsage)
        diag << "the pool " << quote(name) << " has " << type.getDimSize(0) << " experts here, in entry @"
             << function.getName() << ", and " << other.getDimSize(0) << " in entry @" << otherName
             << ", but their use is counted once for all entries; give both the same rows_per_expert";
      else
        diag << "entry @" << function.getName() << " keeps " << quote(name) << " as " << type << ", and entry @"
             << otherName << " as " << other << ", but an artifact has one state of a name; compile them apart";
      diag.attachNote(first.getLoc()) << "the other one comes from here";
      return diag;
    }
  }
  return success();
}

FailureOr<func::FuncOp> peer::findRequestedFunction(Operation *request, FlatSymbolRefAttr name) {
  auto function = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(request, name);
  if (!function || function.isExternal())
    return request->emitOpError() << "names function @" << name.getValue() << ", which has no body here";
  if (!function.getBody().hasOneBlock())
    return request->emitOpError() << "wants a function without control flow, but @" << name.getValue() << " has "
                                  << function.getBody().getBlocks().size() << " blocks";
  eraseDeadOps(function.front(), function.front().getTerminator()->getOperands());
  return function;
}

llvm::DenseSet<Operation *> peer::findNeededOps(Block &block, ValueRange values) {
  llvm::DenseSet<Operation *> needed;
  auto need = [&](Value value) {
    if (Operation *op = value.getDefiningOp(); op && op->getBlock() == &block)
      needed.insert(op);
  };
  llvm::for_each(values, need);
  for (Operation &op : llvm::reverse(block))
    if (needed.contains(&op))
      op.walk([&](Operation *inner) { llvm::for_each(inner->getOperands(), need); });
  return needed;
}

void peer::eraseDeadOps(Block &block, ValueRange values) {
  llvm::DenseSet<Operation *> needed = findNeededOps(block, values);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (!needed.contains(&op) && isOpTriviallyDead(&op))
      op.erase();
}

bool peer::eraseIfUnused(func::FuncOp function) {
  if (!function.isPrivate() || !SymbolTable::symbolKnownUseEmpty(function, function->getParentOp()))
    return false;
  function.erase();
  return true;
}

void peer::eraseUnused(ModuleOp module, llvm::function_ref<bool(func::FuncOp)> mayErase) {
  // Erasing one function can free those it calls.
  for (bool changed = true; changed;) {
    changed = false;
    for (func::FuncOp function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      changed |= (!mayErase || mayErase(function)) && eraseIfUnused(function);
  }
}
