//===- TokenCounts.cpp - how many rows values have, per token ------------===//

#include "TokenCounts.h"

#include "dialect/interfaces/IndexNotation.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <numeric>

using namespace mlir;
using namespace peer;

static constexpr int64_t kMaxI32 = std::numeric_limits<int32_t>::max();

std::string RowCount::text() const {
  if (!perToken)
    return std::to_string(times);
  std::string result = times == 1 ? "T" : "T * " + std::to_string(times);
  return parts == 1 ? result : result + " / " + std::to_string(parts);
}

static bool hasTokens(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && !type.hasStaticShape();
}

TokenCounts::Sizes TokenCounts::sizesOf(Value value) const {
  if (auto found = sizes.find(value); found != sizes.end())
    return found->second;
  Sizes result;
  for (int64_t size : cast<RankedTensorType>(value.getType()).getShape())
    result.push_back(ShapedType::isDynamic(size) ? std::nullopt : std::optional(RowCount{size, 1, false}));
  return result;
}

void TokenCounts::fail(Operation &op, const Twine &what, Value culprit) {
  if (!fault)
    fault = Fault{&op, what.str(), origins.lookup(culprit)};
}

static bool isView(Operation *op) {
  auto graphOp = dyn_cast<GraphOpInterface>(op);
  return graphOp && graphOp.isView();
}

LogicalResult TokenCounts::check() const {
  if (!fault)
    return success();
  InFlightDiagnostic diag = fault->op->emitError() << "op '" << fault->op->getName() << "' " << fault->what;
  if (fault->origin)
    diag.attachNote(fault->origin->getLoc())
        << (isView(fault->origin) ? "this reshape" : "this op") << " makes other rows than one per token";
  return diag;
}

/// `rows` times `by`, divided by `over`. Fractions stay small: no value has more elements than its operands.
RowCount TokenCounts::scale(Operation &op, RowCount rows, int64_t by, int64_t over) {
  auto tooMany = [&] {
    fail(op, "wants T to be a multiple of more than " + Twine(kMaxI32) + " tokens, which no entry takes");
    return rows;
  };
  if (over > kMaxI32)
    return tooMany();
  int64_t common = std::gcd(by, over), above = std::gcd(rows.times, over / common),
          below = std::gcd(by / common, rows.parts);
  rows.times = rows.times / above * (by / common / below);
  rows.parts = rows.parts / below * (over / common / above);
  if (!rows.perToken)
    return rows;
  if (rows.parts > kMaxI32 / (multiple / std::gcd(multiple, rows.parts)))
    return tooMany();
  multiple = std::lcm(multiple, rows.parts);
  return rows;
}

/// Kernels number rows, and what integers choose, in 32 bits; bytes are counted in 64.
void TokenCounts::limit(Value value) {
  constexpr int64_t kMostElements = int64_t(1) << 59;
  auto type = cast<RankedTensorType>(value.getType());
  APInt rows(128, 1), elements(128, 1), parts(128, 1);
  for (const std::optional<RowCount> &size : sizes[value]) {
    if (!size)
      continue;
    APInt times(128, std::max<int64_t>(size->times, 1));
    elements *= times;
    if (size->perToken) {
      rows *= times;
      parts *= APInt(128, size->parts);
    }
  }
  auto tokens = [&](int64_t limit, const APInt &perToken) {
    APInt most = (APInt(128, limit) * parts).udiv(perToken);
    return int64_t(most.getLimitedValue(kMaxI32));
  };
  bool isIndex = type.getElementType().isInteger(32);
  most = std::min({most, tokens(kMaxI32, isIndex ? elements : rows), tokens(kMostElements, elements)});
}

void TokenCounts::set(Value value, ArrayRef<std::optional<RowCount>> found, Operation *origin) {
  auto type = cast<RankedTensorType>(value.getType());
  Sizes known;
  for (auto [declared, size] : llvm::zip_equal(type.getShape(), found)) {
    if (!ShapedType::isDynamic(declared) && size && size->perToken)
      return fail(*value.getDefiningOp(), "makes " + size->text() + " rows, and its result has " + Twine(declared));
    known.push_back(ShapedType::isDynamic(declared) ? size : RowCount{declared, 1, false});
    if (size && size->perToken && size != RowCount() && origin)
      origins[value] = origin;
  }
  if (type.hasStaticShape())
    return;
  sizes[value] = known;
  limit(value);
}

bool TokenCounts::runs(Operation &op, Trips &loop, RowCount count, Value operand) {
  if (!loop.count)
    loop = {count, operand};
  if (*loop.count == count || !(loop.count->perToken || count.perToken))
    return true;
  fail(op, "works on " + loop.count->text() + " rows of one operand, but on " + count.text() + " of another",
       origins.contains(operand) ? operand : loop.operand);
  return false;
}

/// Ops whose notation says which dimensions are the same.
void TokenCounts::visitGraphOp(GraphOpInterface op) {
  // What makes its own loops takes what other ops made.
  if (op.getIndexNotation().empty())
    return;
  IndexNotation notation = IndexNotation::of(op);
  SmallVector<Trips> loops(notation.loops.size());
  for (auto [dims, operand] : llvm::zip(notation.inputs, op->getOperands()))
    for (auto [dim, size] : llvm::zip_equal(dims, sizesOf(operand))) {
      if (!size)
        return fail(*op, "takes rows, and how many is not known");
      if (dim.loop < 0) {
        if (size->perToken)
          return fail(*op, "takes a dimension of tokens as one of known size", operand);
        continue;
      }
      if (!runs(*op, loops[dim.loop], scale(*op, *size, 1, dim.scale), operand))
        return;
    }
  for (auto [dims, result] : llvm::zip(notation.outputs, op->getResults())) {
    Sizes found = sizesOf(result);
    Operation *origin = nullptr;
    for (auto [dim, size] : llvm::zip_equal(dims, found)) {
      if (dim.loop < 0 || !loops[dim.loop].count)
        continue;
      const Trips &trips = loops[dim.loop];
      size = scale(*op, *trips.count, dim.scale, 1);
      // Other rows than those walked begin here.
      bool same = llvm::is_contained(sizesOf(trips.operand), size);
      if (size->perToken)
        origin = same ? origins.lookup(trips.operand) : op.getOperation();
    }
    set(result, found, origin);
  }
}

/// Ops whose maps say which dimensions are the same.
void TokenCounts::visitLinalgOp(linalg::LinalgOp op) {
  SmallVector<Trips> loops(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<RankedTensorType>(operand.get().getType()))
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [expr, size] : llvm::zip_equal(map.getResults(), sizesOf(operand.get()))) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!size)
        return fail(*op, "takes rows, and how many is not known");
      if (!dim) {
        if (size->perToken)
          return fail(*op, "walks along tokens in other steps than one by one");
        continue;
      }
      if (!runs(*op, loops[dim.getPosition()], *size, operand.get()))
        return;
    }
  }
  for (OpOperand &init : op.getDpsInitsMutable())
    if (isa<RankedTensorType>(init.get().getType()))
      set(op.getTiedOpResult(&init), sizesOf(init.get()), origins.lookup(init.get()));
}

/// Shapes are equal, also where the verifier of the op is content with `?` beside a number.
void TokenCounts::visitElementwise(Operation &op) {
  Value first;
  Sizes known;
  for (Value operand : op.getOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type)
      continue;
    Sizes here = sizesOf(operand);
    if (!first) {
      first = operand;
      known = here;
    }
    if (here.size() != known.size())
      return fail(op, "works on tensors of different ranks");
    for (auto [a, b] : llvm::zip_equal(known, here)) {
      if (!a || !b)
        return fail(op, "takes rows, and how many is not known");
      if (*a != *b)
        return fail(op, "works on " + a->text() + " rows of one operand, but on " + b->text() + " of another",
                    origins.contains(operand) ? operand : first);
    }
  }
  if (first)
    for (Value result : op.getResults())
      if (isa<RankedTensorType>(result.getType()))
        set(result, known, origins.lookup(first));
}

/// A slice takes some of other dimensions and all tokens.
void TokenCounts::visitSlice(tensor::ExtractSliceOp op) {
  Sizes source = sizesOf(op.getSource()), taken;
  llvm::SmallBitVector dropped = op.getDroppedDims();
  for (auto [i, offset, size, stride] :
       llvm::enumerate(op.getMixedOffsets(), op.getMixedSizes(), op.getMixedStrides())) {
    std::optional<RowCount> count;
    if (std::optional<int64_t> number = getConstantIntValue(size))
      count = RowCount{*number, 1, false};
    else if (auto asked = indices.find(cast<Value>(size)); asked != indices.end())
      count = asked->second;
    bool known = source[i] && count &&
                 (!(source[i]->perToken || count->perToken) ||
                  (source[i] == count && isZeroInteger(offset) && isOneInteger(stride)));
    if (!known)
      return fail(*op, "takes some of the rows, and not in a way in which their number is known");
    if (!dropped[i])
      taken.push_back(count);
  }
  set(op.getResult(), taken, origins.lookup(op.getSource()));
}

/// A part that has all tokens of the whole, and some of other dimensions.
void TokenCounts::visitInsert(tensor::InsertSliceOp op) {
  Sizes whole = sizesOf(op.getDest()), part = sizesOf(op.getSource());
  bool known = whole.size() == part.size();
  for (size_t i = 0; known && i < whole.size(); ++i)
    known = whole[i] && part[i] &&
            (!(whole[i]->perToken || part[i]->perToken) ||
             (whole[i] == part[i] && isZeroInteger(op.getMixedOffsets()[i]) && isOneInteger(op.getMixedStrides()[i])));
  if (!known)
    return fail(*op, "sets some of the rows, and not in a way in which their number is known");
  set(op.getResult(), whole, origins.lookup(op.getSource()));
}

void TokenCounts::visit(Operation &op) {
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> number = dim.getConstantIndex();
    if (!number || !isa<RankedTensorType>(dim.getSource().getType()))
      return;
    Sizes found = sizesOf(dim.getSource());
    if (*number >= 0 && *number < int64_t(found.size()) && found[*number])
      indices[dim.getResult()] = *found[*number];
    return;
  }
  if (!llvm::any_of(op.getOperands(), hasTokens) && !llvm::any_of(op.getResults(), hasTokens))
    return;
  if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
    Sizes found = sizesOf(empty.getResult());
    auto given = empty.getDynamicSizes().begin();
    for (std::optional<RowCount> &size : found) {
      if (size)
        continue;
      auto asked = indices.find(*given++);
      if (asked == indices.end())
        return fail(op, "makes a number of rows that is not known; take it from an operand by tensor.dim");
      size = asked->second;
    }
    return set(empty.getResult(), found, nullptr);
  }
  if (isa<func::ReturnOp>(op)) {
    for (Value operand : op.getOperands())
      if (hasTokens(operand))
        for (const std::optional<RowCount> &size : sizesOf(operand))
          if (size && size->perToken && *size != RowCount())
            return fail(op, "returns " + size->text() + " rows, where entries return one per token", operand);
    return;
  }
  if (auto graphOp = dyn_cast<GraphOpInterface>(op))
    return visitGraphOp(graphOp);
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return visitLinalgOp(linalgOp);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return visitSlice(slice);
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    return visitInsert(insert);
  // Calls and parameters are gone when it matters.
  if (isa_and_nonnull<PeerDialect>(op.getDialect()) || isa<func::CallOp>(op))
    return;
  if (op.hasTrait<OpTrait::Elementwise>() || isa<tensor::CastOp>(op))
    return visitElementwise(op);
  fail(op, "works on tokens in a way in which it is not known how many rows come out");
}

TokenCounts::TokenCounts(func::FuncOp entry) {
  for (Value argument : entry.getArguments())
    if (hasTokens(argument)) {
      Sizes &found = sizes[argument];
      for (int64_t size : cast<RankedTensorType>(argument.getType()).getShape())
        found.push_back(ShapedType::isDynamic(size) ? RowCount() : RowCount{size, 1, false});
      limit(argument);
    }
  for (Operation &op : entry.getBody().front())
    visit(op);
}
