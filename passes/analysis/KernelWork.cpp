//===- KernelWork.cpp - bytes and operations of a kernel -----------------===//

#include "KernelWork.h"

#include "artifact/format.h"
#include "dialect/interfaces/IndexNotation.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringMap.h"

#include <cmath>

using namespace mlir;
using namespace peer;

TokenLinear &TokenLinear::operator+=(TokenLinear other) {
  constant += other.constant;
  perToken += other.perToken;
  return *this;
}

std::array<int64_t, 2> TokenLinear::rounded() const { return {std::llround(constant), std::llround(perToken)}; }

/// The product; T squared counts as T, for a tensor has one dynamic dimension and ops walk one.
static TokenLinear product(TokenLinear a, TokenLinear b) {
  return {a.constant * b.constant, a.constant * b.perToken + a.perToken * b.constant + a.perToken * b.perToken};
}

/// The dynamic dimension of a tensor, if it has one.
static std::optional<unsigned> getDynamicDim(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return std::nullopt;
  for (unsigned dim = 0, rank = type.getRank(); dim < rank; ++dim)
    if (type.isDynamicDim(dim))
      return dim;
  return std::nullopt;
}

/// An argument's attribute of this name; null where it has none.
static StringAttr getText(func::FuncOp function, BlockArgument argument, StringRef name) {
  return function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), name);
}

/// Arguments of an entry that are derived from parameters, which bear their names.
static llvm::DenseMap<Value, Value> findDerived(Block &block) {
  llvm::DenseMap<Value, Value> found;
  auto function = dyn_cast<func::FuncOp>(block.getParentOp());
  if (!function)
    return found;
  llvm::StringMap<Value> parameters;
  auto forEach = [&](StringRef wanted, llvm::function_ref<void(BlockArgument, StringRef)> body) {
    for (BlockArgument argument : block.getArguments()) {
      StringAttr role = getText(function, argument, attrs::kRole), name = getText(function, argument, attrs::kName);
      if (role && name && role.getValue() == wanted)
        body(argument, name.getValue());
    }
  };
  forEach(format::role::kParameter, [&](BlockArgument argument, StringRef name) { parameters[name] = argument; });
  forEach(format::role::kDerived, [&](BlockArgument argument, StringRef name) {
    if (Value parameter = parameters.lookup(name))
      found[argument] = parameter;
  });
  return found;
}

WorkMeter::WorkMeter(Block &block) : derivedFrom(findDerived(block)) {
  for (BlockArgument argument : block.getArguments())
    multiples[argument] = 1;
  for (Operation &op : block)
    for (OpResult result : op.getResults())
      if (getDynamicDim(result))
        multiples[result] = deriveMultiple(result);
}

/// Product of the static sizes.
static double staticElements(Type type) {
  double elements = 1;
  for (int64_t size : cast<ShapedType>(type).getShape())
    elements *= ShapedType::isDynamic(size) ? 1 : size;
  return elements;
}

double WorkMeter::deriveMultiple(OpResult result) const {
  Operation *op = result.getOwner();
  if (auto graphOp = dyn_cast<GraphOpInterface>(op)) {
    if (std::optional<unsigned> tied = graphOp.getTiedInput(result.getResultNumber()))
      return multiples.lookup(op->getOperand(*tied));
    IndexNotation notation = IndexNotation::of(graphOp);
    IndexDim dim = notation.outputs[result.getResultNumber()][*getDynamicDim(result)];
    if (dim.loop < 0)
      return 1;
    const IndexLoop &loop = notation.loops[dim.loop];
    return size(op->getOperand(loop.input), loop.dim).perToken / loop.scale * dim.scale;
  }
  if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
    auto dim = empty.getDynamicSize(*getDynamicDim(result)).getDefiningOp<tensor::DimOp>();
    return dim ? std::max(1.0, multiples.lookup(dim.getSource())) : 1;
  }
  // A reshape keeps the number of elements; all other ops keep the dynamic dimension of an operand.
  for (Value operand : op->getOperands()) {
    if (!getDynamicDim(operand))
      continue;
    double multiple = multiples.lookup(operand);
    if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
      multiple *= staticElements(operand.getType()) / staticElements(result.getType());
    return multiple;
  }
  return 1;
}

TokenLinear WorkMeter::size(Value value, unsigned dim) const {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.isDynamicDim(dim))
    return {0, multiples.lookup(value)};
  return {double(type.getDimSize(dim)), 0};
}

TokenLinear WorkMeter::bytes(Value value) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return {};
  TokenLinear total{double(llvm::divideCeil(type.getElementTypeBitWidth(), 8)), 0};
  for (unsigned dim = 0, rank = type.getRank(); dim < rank; ++dim)
    total = product(total, size(value, dim));
  return total;
}

TokenLinear WorkMeter::iterations(GraphOpInterface op) const {
  TokenLinear total{1, 0};
  for (const IndexLoop &loop : IndexNotation::of(op).loops)
    total = product(total, size(op->getOperand(loop.input), loop.dim) * (1.0 / loop.scale));
  return total;
}

TokenLinear WorkMeter::flops(Operation *op) const {
  if (auto graphOp = dyn_cast<GraphOpInterface>(op))
    return iterations(graphOp) * graphOp.getFlopsPerIteration();
  auto linalgOp = cast<linalg::LinalgOp>(op);
  TokenLinear total{1, 0};
  for (unsigned loop = 0, end = linalgOp.getNumLoops(); loop < end; ++loop) {
    for (OpOperand &operand : op->getOpOperands()) {
      std::optional<unsigned> dim =
          linalgOp.getMatchingIndexingMap(&operand).getResultPosition(getAffineDimExpr(loop, op->getContext()));
      if (!dim || !isa<RankedTensorType>(operand.get().getType()))
        continue;
      total = product(total, size(operand.get(), *dim));
      break;
    }
  }
  double perIteration = llvm::count_if(*linalgOp.getBlock(), [](Operation &inner) {
    return isa<arith::ArithDialect, math::MathDialect>(inner.getDialect()) && inner.getNumResults() == 1 &&
           isa<FloatType>(inner.getResult(0).getType());
  });
  return total * perIteration;
}

std::optional<TokenLinear> WorkMeter::gatheredElements(GraphOpInterface op, unsigned input) const {
  if (!op || input >= getNumInputs(op))
    return std::nullopt;
  std::optional<int64_t> elements = op.getGatheredElements(input);
  if (!elements)
    return std::nullopt;
  return iterations(op) * double(*elements);
}

std::optional<TokenLinear> WorkMeter::gatheredBytes(GraphOpInterface op, unsigned input) const {
  std::optional<TokenLinear> elements = gatheredElements(op, input);
  if (!elements)
    return std::nullopt;
  unsigned bits = getElementTypeOrSelf(op->getOperand(input).getType()).getIntOrFloatBitWidth();
  return *elements * llvm::divideCeil(bits, 8);
}

double WorkMeter::elementsPerToken(Value parameter) const {
  double all = staticElements(parameter.getType()), gathered = 0;
  for (OpOperand &use : parameter.getUses()) {
    auto op = dyn_cast<GraphOpInterface>(use.getOwner());
    // Who sees it under another type may gather, too.
    if (op && op.isView() && op->getNumResults() == 1) {
      gathered += elementsPerToken(op->getResult(0));
      continue;
    }
    std::optional<TokenLinear> elements = gatheredElements(op, use.getOperandNumber());
    if (!elements || elements->constant != 0)
      return all;
    gathered += elements->perToken;
  }
  return std::min(all, gathered);
}

TokenLinear WorkMeter::derivedBytes(Value derived) const {
  // It has the parameter in several forms, of which a call reads one: at least a byte of each element.
  return {std::min(staticElements(derived.getType()), staticElements(derivedFrom.lookup(derived).getType())), 0};
}

bool WorkMeter::readsDerived(Operation *op, Value parameter) const {
  return llvm::any_of(op->getOperands(), [&](Value operand) { return derivedFrom.lookup(operand) == parameter; });
}

KernelWork WorkMeter::measure(ArrayRef<Operation *> ops) const {
  KernelWork work;
  llvm::SmallPtrSet<Operation *, 4> inside(ops.begin(), ops.end());
  llvm::SmallPtrSet<Value, 8> seen;
  for (Operation *op : ops) {
    auto graphOp = dyn_cast<GraphOpInterface>(op);
    auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (inside.contains(value.getDefiningOp()))
        continue;
      if (linalgOp && !linalgOp.payloadUsesValueFromOperand(&operand))
        continue;
      if (readsDerived(op, value))
        continue;
      if (std::optional<TokenLinear> gathered = gatheredBytes(graphOp, operand.getOperandNumber()))
        work.bytes += *gathered;
      else if (seen.insert(value).second)
        work.bytes += derivedFrom.contains(value) ? derivedBytes(value) : bytes(value);
    }
    for (OpResult result : op->getResults()) {
      std::optional<unsigned> tied = graphOp ? graphOp.getTiedInput(result.getResultNumber()) : std::nullopt;
      std::optional<TokenLinear> gathered = tied ? gatheredBytes(graphOp, *tied) : std::nullopt;
      if (gathered)
        work.bytes += *gathered;
      else if (tied || llvm::any_of(result.getUsers(), [&](Operation *user) { return !inside.contains(user); }))
        work.bytes += bytes(result);
    }
    work.flops += flops(op);
  }
  return work;
}
