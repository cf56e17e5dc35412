//===- RowGradients.cpp - row-sparse gradients of a pool -----------------===//

#include "RowGradients.h"

#include <numeric>

using namespace mlir;
using namespace peer;

SmallVector<RowGradOpInterface> peer::findRowGradients(Value gradient) {
  SmallVector<RowGradOpInterface> ops;
  for (auto sum = gradient.getDefiningOp<arith::AddFOp>(); sum; sum = gradient.getDefiningOp<arith::AddFOp>()) {
    auto rows = sum.getRhs().getDefiningOp<RowGradOpInterface>();
    if (!rows)
      return {};
    ops.push_back(rows);
    gradient = sum.getLhs();
  }
  auto rows = gradient.getDefiningOp<RowGradOpInterface>();
  if (!rows)
    return {};
  ops.push_back(rows);
  return ops;
}

void peer::eraseRowGradients(Value gradient) {
  Operation *op = gradient.getDefiningOp();
  SmallVector<Value> parts;
  if (isa<arith::AddFOp>(op))
    parts = op->getOperands();
  op->erase();
  for (Value part : parts)
    eraseRowGradients(part);
}

namespace {

Value reshape(OpBuilder &builder, Location loc, Value value, ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(value.getType()).clone(shape);
  return type == value.getType() ? value : ReshapeOp::create(builder, loc, value, type, ValueRange()).getY();
}

Value concat(OpBuilder &builder, Location loc, ArrayRef<Value> parts, int64_t dim) {
  return parts.size() == 1 ? parts.front() : ConcatOp::create(builder, loc, parts, dim, ValueRange()).getY();
}

/// Puts the rows of several ops together.
class Joiner {
public:
  Joiner(OpBuilder &builder, Location loc, int64_t tokens) : builder(builder), loc(loc), tokens(tokens) {}

  /// As `T x rows x rest`: `rows` of every token.
  Value cut(Value value, int64_t rows, ArrayRef<int64_t> rest) {
    SmallVector<int64_t> shape = {tokens, rows};
    llvm::append_range(shape, rest);
    return reshape(builder, loc, value, shape);
  }
  /// The same where rows of pairs are cut into pieces, each of which has a copy of what belongs to its row.
  Value repeat(Value value, int64_t perToken, int64_t pieces) {
    int64_t width = cast<RankedTensorType>(value.getType()).getDimSize(1);
    Value row = cut(value, perToken, {1, width});
    Value copies = concat(builder, loc, SmallVector<Value>(pieces, row), 2);
    return cut(copies, perToken * pieces, {width});
  }
  /// Rows of all parts, a token's one after the other.
  Value join(ArrayRef<Value> parts) {
    Value joined = concat(builder, loc, parts, 1);
    ArrayRef<int64_t> shape = cast<RankedTensorType>(joined.getType()).getShape();
    SmallVector<int64_t> flat = {ShapedType::isDynamic(tokens) ? tokens : tokens * shape[1]};
    llvm::append_range(flat, shape.drop_front(2));
    return reshape(builder, loc, joined, flat);
  }

private:
  OpBuilder &builder;
  Location loc;
  int64_t tokens;
};

} // namespace

RowGradient peer::joinRowGradients(OpBuilder &builder, Location loc, ArrayRef<RowGradOpInterface> ops,
                                   ArrayRef<int64_t> rowsPerToken, int64_t experts) {
  auto shapeOf = [](Value value) { return cast<RankedTensorType>(value.getType()).getShape(); };
  auto idxOf = [](RowGradOpInterface op) { return op.getIdxMutable().get(); };
  // Heads and selections of a row, where all ops have the same; else one head of as many pairs as divide all of them.
  SmallVector<int64_t> pairs(shapeOf(idxOf(ops.front())).drop_front());
  int64_t common = 0;
  bool same = true;
  for (RowGradOpInterface op : ops) {
    ArrayRef<int64_t> shape = shapeOf(idxOf(op));
    common = std::gcd(common, shape[1] * shape[2]);
    same &= shape.drop_front() == ArrayRef(pairs);
  }
  if (!same)
    pairs = {1, common};
  int64_t first = shapeOf(idxOf(ops.front())).front(), perToken = 0;
  Joiner joiner(builder, loc, ShapedType::isDynamic(first) ? first : first / rowsPerToken.front());
  SmallVector<Value> idx, coef, x, dy;
  for (auto [each, rows] : llvm::zip_equal(ops, rowsPerToken)) {
    RowGradOpInterface op = each;
    ArrayRef<int64_t> shape = shapeOf(idxOf(op));
    int64_t pieces = shape[1] * shape[2] / (pairs[0] * pairs[1]);
    SmallVector<int64_t> numbers(pairs);
    llvm::append_range(numbers, shapeOf(op.getCoef()).drop_front(3));
    idx.push_back(joiner.cut(idxOf(op), rows * pieces, pairs));
    coef.push_back(joiner.cut(op.getCoef(), rows * pieces, numbers));
    x.push_back(joiner.repeat(op.getX(), rows, pieces));
    dy.push_back(joiner.repeat(op.getDy(), rows, pieces));
    perToken += rows * pieces;
  }
  Value all = joiner.join(idx);
  auto sorted = SortPairsOp::create(builder, loc, all, experts, ValueRange());
  return {all,
          sorted.getOrder(),
          sorted.getStarts(),
          sorted.getCount(),
          joiner.join(coef),
          joiner.join(x),
          joiner.join(dy),
          perToken};
}
