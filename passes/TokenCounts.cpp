//===- TokenCounts.cpp - how many rows values have, per token ------------===//

#include "TokenCounts.h"

#include "dialect/PeerOps.h"

#include <numeric>

using namespace mlir;
using namespace peer;

namespace {

/// Rows of a value: T * times / parts.
struct Count {
  int64_t times = 1, parts = 1;
  bool operator!=(const Count &other) const { return times != other.times || parts != other.parts; }
  Count scaled(int64_t by, int64_t over) const {
    Count result{times * by, parts * over};
    int64_t common = std::gcd(result.times, result.parts);
    return {result.times / common, result.parts / common};
  }
  std::string text() const {
    std::string result = times == 1 ? "T" : "T * " + std::to_string(times);
    return parts == 1 ? result : result + " / " + std::to_string(parts);
  }
};

bool hasTokens(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() >= 1 && type.isDynamicDim(0);
}

/// Elements of one row.
int64_t rowSize(Value value) {
  ArrayRef<int64_t> shape = cast<ShapedType>(value.getType()).getShape().drop_front();
  return std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>());
}

struct TokenCounts {
  llvm::DenseMap<Value, Count> counts;
  /// The reshape that a count other than T comes from.
  llvm::DenseMap<Value, Operation *> reshapes;

  LogicalResult fail(Operation *op, const Twine &what, Value culprit) {
    InFlightDiagnostic diag = op->emitError() << "op '" << op->getName() << "' " << what;
    if (Operation *reshape = reshapes.lookup(culprit))
      diag.attachNote(reshape->getLoc()) << "this reshape makes other rows than one per token";
    return diag;
  }
  LogicalResult visit(Operation &op);
};

LogicalResult TokenCounts::visit(Operation &op) {
  Value first;
  for (Value operand : op.getOperands()) {
    auto count = counts.find(operand);
    if (count == counts.end())
      continue;
    Count here = count->second;
    if (isa<func::ReturnOp>(op) && here != Count())
      return fail(&op, "returns " + here.text() + " rows, where entries return one per token", operand);
    if (first && here != counts[first])
      return fail(&op,
                  "works on " + counts[first].text() + " rows of one operand, but on " + here.text() + " of another",
                  reshapes.contains(operand) ? operand : first);
    if (!first)
      first = operand;
  }
  if (!first)
    return success();
  Count rows = counts[first];
  Operation *origin = reshapes.lookup(first);
  if (isa<ReshapeOp>(op)) {
    int64_t to = rowSize(op.getResult(0));
    if (to == 0)
      return success();
    rows = rows.scaled(rowSize(first), to);
    origin = rows != Count() ? &op : nullptr;
  }
  for (Value result : op.getResults())
    if (hasTokens(result)) {
      counts[result] = rows;
      if (origin)
        reshapes[result] = origin;
    }
  return success();
}

} // namespace

LogicalResult peer::checkTokenCounts(func::FuncOp entry) {
  TokenCounts counts;
  for (Value argument : entry.getArguments())
    if (hasTokens(argument))
      counts.counts[argument] = Count();
  for (Operation &op : entry.getBody().front()) {
    // What other ops do to rows is not known, and neither are the counts of their results.
    bool known =
        isa_and_nonnull<PeerDialect>(op.getDialect()) || op.hasTrait<OpTrait::Elementwise>() || isa<func::ReturnOp>(op);
    if (known && failed(counts.visit(op)))
      return failure();
  }
  return success();
}
