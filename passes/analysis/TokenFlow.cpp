//===- TokenFlow.cpp - how values depend on tokens -----------------------===//

#include "TokenFlow.h"

#include "dialect/interfaces/IndexNotation.h"

#include <numeric>

using namespace mlir;
using namespace peer;

static constexpr char kMixes[] = "may mix tokens";
static constexpr char kAlongTokens[] = "works on a value that is not computed from tokens as if it had a row for each";

bool TokenFlow::dependsOnTokens(Operation *op) const {
  auto depends = [&](Value value) { return of(value).depends(); };
  bool found = llvm::any_of(op->getOperands(), depends);
  if (!found && op->getNumRegions() > 0)
    op->walk([&](Operation *inner) { found |= llvm::any_of(inner->getOperands(), depends); });
  return found;
}

void TokenFlow::setResults(Operation *op, TokenRows found) {
  for (Value result : op->getResults())
    rows[result] = found;
}

std::string TokenFlow::visit(Operation *op) {
  if (!dependsOnTokens(op))
    return "";
  if (isa<SequenceOpInterface>(op))
    return visitSequences(op);
  if (auto graphOp = dyn_cast<GraphOpInterface>(op))
    return graphOp.isView() ? visitView(graphOp) : visitGraphOp(graphOp);
  if (op->hasTrait<OpTrait::Elementwise>() && op->getNumRegions() == 0)
    return visitElementwise(op);
  return kMixes;
}

/// Positions are those of rows: there must be one per token, in all operands that have rows for them.
std::string TokenFlow::visitSequences(Operation *op) {
  IndexNotation notation = IndexNotation::of(cast<GraphOpInterface>(op));
  int sequences = notation.outputs.front().front().loop;
  for (auto [dims, operand] : llvm::zip(notation.inputs, op->getOperands())) {
    TokenRows found = of(operand);
    bool isAlong = llvm::any_of(dims, [&](const IndexDim &dim) { return dim.loop == sequences; });
    if (!isAlong && !found.depends())
      continue;
    if (isAlong != found.depends())
      return isAlong ? kAlongTokens : kMixes;
    if (found.tokensPerRow > 1)
      return "takes rows for positions, but its operand has a row for " + std::to_string(found.tokensPerRow) +
             " tokens";
    if (found != TokenRows{0})
      return "takes rows for positions, but its operand has " + std::to_string(found.perToken) + " rows per token";
  }
  setResults(op, {0});
  return "";
}

/// Elements in one row of a value.
static int64_t rowSize(Value value) {
  ArrayRef<int64_t> shape = cast<ShapedType>(value.getType()).getShape().drop_front();
  return std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>());
}

std::string TokenFlow::visitView(GraphOpInterface op) {
  Value source = op->getOperand(0);
  TokenRows from = of(source);
  if (!op.getOutsMutable().empty() || from.dim != 0)
    return kMixes;
  int64_t elements = from.perToken * rowSize(source), row = from.tokensPerRow * rowSize(op->getResult(0));
  if (elements == 0 || row == 0)
    return kMixes;
  if (elements % row == 0)
    setResults(op, {0, elements / row});
  else if (joins && row % elements == 0)
    setResults(op, {0, 1, row / elements});
  else
    return "joins rows of several tokens";
  return "";
}

std::string TokenFlow::visitElementwise(Operation *op) {
  std::optional<TokenRows> found;
  for (Value operand : op->getOperands()) {
    if (!isa<ShapedType>(operand.getType()))
      continue; // a scalar for all elements
    TokenRows here = of(operand);
    if (!here.depends())
      return kAlongTokens;
    if (found && *found != here)
      return kMixes;
    found = here;
  }
  if (!found)
    return kMixes;
  setResults(op, *found);
  return "";
}

std::string TokenFlow::visitGraphOp(GraphOpInterface op) {
  const std::string mixes = op.describeMixing().str();
  if (!op.getOutsMutable().empty())
    return mixes;
  IndexNotation notation = IndexNotation::of(op);
  // One loop walks over tokens: a step of it takes one row, and tiles of it are independent of each other.
  std::optional<int> tokens;
  std::optional<TokenRows> found;
  for (auto [dims, operand] : llvm::zip(notation.inputs, op->getOperands())) {
    TokenRows here = of(operand);
    if (!here.depends())
      continue;
    IndexDim dim = dims[here.dim];
    if (dim.loop < 0 || dim.scale != 1 || !notation.loops[dim.loop].tileable ||
        (tokens && (*tokens != dim.loop || !found->walksLike(here))))
      return mixes;
    tokens = dim.loop;
    found = here;
  }
  if (!tokens)
    return mixes;
  for (auto [dims, operand] : llvm::zip(notation.inputs, op->getOperands()))
    for (auto [position, dim] : llvm::enumerate(dims))
      if (dim.loop == *tokens && int64_t(position) != of(operand).dim)
        return of(operand).depends() ? mixes : std::string(kAlongTokens);
  for (auto [dims, result] : llvm::zip(notation.outputs, op->getResults())) {
    auto *walks = llvm::find_if(dims, [&](const IndexDim &dim) { return dim.loop == *tokens; });
    if (walks == dims.end() || walks->scale != 1 || op.getTiedInput(result.getResultNumber()))
      return mixes;
    rows[result] = {walks - dims.begin(), found->perToken, found->tokensPerRow};
  }
  return "";
}
