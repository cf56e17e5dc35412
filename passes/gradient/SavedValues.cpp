//===- SavedValues.cpp - what a backward pass reads of a forward pass ----===//

#include "SavedValues.h"

#include "dialect/interfaces/IndexNotation.h"
#include "passes/Entries.h"

#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace peer;

RankedTensorType peer::splitRows(RankedTensorType type, RowCount rows) {
  if (!rows.perToken || rows.times == 1)
    return type;
  SmallVector<int64_t> shape(type.getShape());
  shape.insert(shape.begin() + 1, rows.times);
  return type.clone(shape);
}

/// All values that an op reads, in its regions too.
static void forEachOperand(Operation *op, llvm::function_ref<void(Value)> visit) {
  op->walk([&](Operation *inner) { llvm::for_each(inner->getOperands(), visit); });
}

SavedValues::SavedValues(func::FuncOp function, const IRMapping &mapping)
    : body(function.front()), mapping(mapping), counts(function) {
  for (BlockArgument argument : function.getArguments()) {
    free.insert(argument);
    if (!getParameter(function, argument.getArgNumber()))
      dependent.insert(argument);
  }
  for (Operation &op : body.without_terminator()) {
    bool depends = false, isFree = isCheap(&op);
    forEachOperand(&op, [&](Value value) {
      depends |= dependent.contains(value);
      isFree &= value.getParentBlock() != &body || free.contains(value);
    });
    for (Value result : op.getResults()) {
      if (depends)
        dependent.insert(result);
      if (isFree)
        free.insert(result);
    }
  }
}

bool SavedValues::isThere(Value value) const {
  return value.getParentBlock() != &body || free.contains(value) || demanded.contains(value);
}

/// An op that walks no more than it reads or writes is bound by memory, as saving is.
static bool walksOnly(ArrayRef<IndexDims> operands, size_t loops) {
  return llvm::any_of(operands, [&](const IndexDims &dims) {
    llvm::SmallDenseSet<int> walked;
    for (const IndexDim &dim : dims)
      if (dim.loop >= 0)
        walked.insert(dim.loop);
    return walked.size() == loops;
  });
}

bool SavedValues::isCheap(Operation *op) const {
  if (!isMemoryEffectFree(op))
    return false;
  if (auto linalg = dyn_cast<linalg::LinalgOp>(op))
    return linalg.getNumParallelLoops() == linalg.getNumLoops();
  auto graph = dyn_cast<GraphOpInterface>(op);
  if (!graph)
    return op->hasTrait<OpTrait::Elementwise>() || op->hasTrait<OpTrait::ConstantLike>() ||
           isa<tensor::TensorDialect>(op->getDialect());
  if (graph.isView() || graph.isElementwise())
    return true;
  // Selections and mixes walk more than their notation tells.
  if (isa<SelectionOpInterface, MixLikeOpInterface, SequenceOpInterface>(op) || graph.hasLargeIntermediates())
    return false;
  IndexNotation notation = IndexNotation::of(graph);
  return walksOnly(notation.inputs, notation.loops.size()) || walksOnly(notation.outputs, notation.loops.size());
}

/// What leaves an entry has one row per token, or several, or a static shape. What parameters alone make is as large as
/// they are, a table perhaps, and so may be what is read as one.
bool SavedValues::canBeSaved(Value value) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !dependent.contains(value) || type.getElementType().isInteger(1) ||
      !type.getElementType().isIntOrFloat())
    return false;
  for (OpOperand &use : value.getUses())
    if (auto mix = dyn_cast<MixLikeOpInterface>(use.getOwner()); mix && mix.getPool() == value)
      return false;
  if (type.hasStaticShape())
    return true;
  std::optional<RowCount> rows = counts.rowsOf(value);
  return type.isDynamicDim(0) && type.getNumDynamicDims() == 1 && rows && rows->perToken && rows->parts == 1;
}

void SavedValues::demandOperands(Operation *op) {
  forEachOperand(op, [&](Value value) {
    if (value.getParentBlock() == &body)
      demanded.insert(value);
  });
}

void SavedValues::choose(ValueRange wanted) {
  // Of the block's values, the ones of the function.
  DenseMap<Value, Value> originals;
  for (Operation &op : body.without_terminator())
    for (Value result : op.getResults())
      originals[mapping.lookup(result)] = result;
  SmallVector<Value> stack(wanted);
  llvm::DenseSet<Operation *> visited;
  for (Value value : wanted)
    if (Value original = originals.lookup(value))
      kept.insert(original);
  while (!stack.empty()) {
    Value value = stack.pop_back_val();
    if (Value original = originals.lookup(value)) {
      demanded.insert(original);
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (op && visited.insert(op).second)
      forEachOperand(op, [&](Value operand) { stack.push_back(operand); });
  }
  for (Operation &op : llvm::reverse(body.without_terminator())) {
    auto isDemanded = [&](Value result) { return demanded.contains(result); };
    if (llvm::none_of(op.getResults(), isDemanded))
      continue;
    bool again = llvm::any_of(op.getResults(), [&](Value result) { return isDemanded(result) && !canBeSaved(result); });
    if (!again && isCheap(&op) && llvm::none_of(op.getResults(), [&](Value result) { return kept.contains(result); })) {
      again = true;
      forEachOperand(&op, [&](Value value) { again &= isThere(value); });
    }
    if (again)
      demandOperands(&op);
    else
      llvm::copy_if(op.getResults(), std::back_inserter(chosen), isDemanded);
  }
  // Stable: the results of one op stay in their order.
  llvm::stable_sort(chosen, [](Value a, Value b) {
    return a.getDefiningOp() != b.getDefiningOp() && a.getDefiningOp()->isBeforeInBlock(b.getDefiningOp());
  });
}

std::string SavedValues::nameOf(Value value) {
  std::string name = value.getDefiningOp()->getName().stripDialect().str();
  if (auto named = dyn_cast<OpAsmOpInterface>(value.getDefiningOp()))
    named.getAsmResultNames([&](Value result, StringRef given) {
      if (result == value)
        name = given.str();
    });
  unsigned number = ++names[name];
  return number == 1 ? name : name + "." + std::to_string(number);
}
