//===- RoutingBuilder.cpp - what lowerings of the routing ops share ------===//

#include "RoutingBuilder.h"

using namespace mlir;
using namespace peer;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

Value peer::both(LoopBuilder &b, Value x, Value y) { return arith::AndIOp::create(b, x, y); }
Value peer::either(LoopBuilder &b, Value x, Value y) { return arith::OrIOp::create(b, x, y); }

static void nestFrom(LoopBuilder &b, ArrayRef<Value> bounds, Values &at,
                     llvm::function_ref<void(ArrayRef<Value>)> body) {
  if (at.size() == bounds.size())
    return body(at);
  b.loop(bounds[at.size()], [&](Value i) {
    at.push_back(i);
    nestFrom(b, bounds, at, body);
    at.pop_back();
  });
}

void peer::nest(LoopBuilder &b, ArrayRef<Value> bounds, llvm::function_ref<void(ArrayRef<Value>)> body) {
  Values at;
  nestFrom(b, bounds, at, body);
}

Values peer::dims(LoopBuilder &b, Value buffer, unsigned rank) {
  Values sizes;
  for (unsigned i = 0; i < rank; ++i)
    sizes.push_back(b.dim(buffer, i));
  return sizes;
}

Value peer::headMatrix(LoopBuilder &b, Value buffer, Value h, Value p) {
  auto type = cast<MemRefType>(buffer.getType());
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  auto size = [&](unsigned i) { return getAsOpFoldResult(b.dim(buffer, i)); };
  SmallVector<OpFoldResult> offsets{zero, getAsOpFoldResult(h), getAsOpFoldResult(p), zero};
  SmallVector<OpFoldResult> sizes{size(0), one, one, size(3)}, strides(4, one);
  auto reduced = memref::SubViewOp::inferRankReducedResultType({type.getDimSize(0), type.getDimSize(3)}, type, offsets,
                                                               sizes, strides);
  return memref::SubViewOp::create(b, cast<MemRefType>(reduced), buffer, offsets, sizes, strides);
}

bool peer::isDense(Value buffer, unsigned first) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<int64_t> strides;
  int64_t offset, expected = 1;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return false;
  for (int64_t i = type.getRank(); i-- > int64_t(first);) {
    if (strides[i] != expected)
      return false;
    // The outermost size may be dynamic: no stride within the slice depends on it.
    if (i == int64_t(first))
      break;
    if (type.isDynamicDim(i))
      return false;
    expected *= type.getDimSize(i);
  }
  return true;
}

Value peer::flatten(LoopBuilder &b, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  if (type.getRank() == 1)
    return buffer;
  assert(type.getRank() > 1 && "a scalar has no flat form");
  ReassociationIndices all = llvm::to_vector<2>(llvm::seq<int64_t>(0, type.getRank()));
  return memref::CollapseShapeOp::create(b, buffer, ArrayRef<ReassociationIndices>{all});
}

Value peer::flatSlice(LoopBuilder &b, Value buffer, ValueRange at) { return flatten(b, b.slice(buffer, at)); }

MixOperands::MixOperands(MixLikeOpInterface op)
    : x(op.getX()), idx(op.getIdx()), weights(op.getWeights()), pool(op.getPool()), scales(op.getScales()),
      y(getOutputAt(op, 0)), activation(op.getActivation()), rowsPerExpert(op.getRowsPerExpert()) {}

StoredTable MixOperands::table() const { return {pool, scales, cast<MemRefType>(x.getType()).getShape().back()}; }

//===----------------------------------------------------------------------===//
// The order of selections
//===----------------------------------------------------------------------===//

Value peer::emitScore(LoopBuilder &b, Value score) {
  Value lowest = b.f32(-std::numeric_limits<double>::infinity(), score.getType());
  return b.select(b.cmp(CmpFPredicate::UNO, score, score), lowest, score);
}

Candidate peer::emitCandidate(LoopBuilder &b, Value first, Value second, Value rank, Value expert) {
  // Knuth's two-sum: exact for all finite numbers whose sum does not overflow.
  Value rounded = b.add(first, second);
  Value secondPart = b.sub(rounded, first), firstPart = b.sub(rounded, secondPart);
  Value rest = b.add(b.sub(first, firstPart), b.sub(second, secondPart));
  Value finite = b.cmp(CmpFPredicate::ORD, b.sub(rounded, rounded), rounded);
  return {emitScore(b, rounded), b.select(finite, rest, b.neg(rank)), expert};
}

Value peer::emitPrecedes(LoopBuilder &b, const Candidate &x, const Candidate &y) {
  Value lower = b.cmp(CmpIPredicate::slt, x.expert, y.expert);
  Value byRest =
      either(b, b.cmp(CmpFPredicate::OGT, x.rest, y.rest), both(b, b.cmp(CmpFPredicate::OEQ, x.rest, y.rest), lower));
  return either(b, b.cmp(CmpFPredicate::OGT, x.sum, y.sum), both(b, b.cmp(CmpFPredicate::OEQ, x.sum, y.sum), byRest));
}

//===----------------------------------------------------------------------===//
// The row-sparse gradient of a pool
//===----------------------------------------------------------------------===//

SortedPairs peer::emitPairSort(LoopBuilder &b, Value idx, Value order, Value ends,
                               llvm::function_ref<void(Value, Value)> opens) {
  Value experts = b.dim(ends, 0), zero = b.i32(0), one = b.i32(1);
  b.loop(experts, [&](Value e) { b.store(zero, ends, {e}); });
  auto forEachPair = [&](llvm::function_ref<void(ArrayRef<Value> at, Value expert)> body) {
    nest(b, dims(b, idx, 3), [&](ArrayRef<Value> at) {
      Value expert = b.load(idx, at);
      b.ifThen(b.cmp(CmpIPredicate::sge, expert, zero), [&] { body(at, b.toIndex(expert)); });
    });
  };
  forEachPair([&](ArrayRef<Value>, Value e) { b.store(b.add(b.load(ends, {e}), one), ends, {e}); });
  // Counts become the place of each expert's next pair; touched experts open a segment.
  Values totals = b.loop(b.index(0), experts, {zero, zero}, [&](Value e, ValueRange carried) {
    Value segments = carried[0], pairs = carried[1], n = b.load(ends, {e});
    Value touched = b.cmp(CmpIPredicate::sgt, n, zero);
    if (opens)
      b.ifThen(touched, [&] { opens(segments, pairs); });
    b.store(pairs, ends, {e});
    return Values{b.add(segments, b.select(touched, one, zero)), b.add(pairs, n)};
  });
  forEachPair([&](ArrayRef<Value> at, Value e) {
    Value place = b.load(ends, {e});
    Value pair = b.add(b.mul(b.add(b.mul(at[0], b.dim(idx, 1)), at[1]), b.dim(idx, 2)), at[2]);
    b.store(b.toI32(pair), order, {b.toIndex(place)});
    b.store(b.add(place, one), ends, {e});
  });
  return {totals[0], totals[1]};
}

RowGrad peer::emitRowGrad(LoopBuilder &b, Value idx, Value order, Value starts, Value count, Value coef, Value x,
                          Value dy) {
  RowGrad grad;
  grad.flat = isDense(idx, 0) && isDense(coef, 0);
  grad.idx = grad.flat ? flatten(b, idx) : idx;
  grad.order = order;
  grad.starts = starts;
  grad.segments = b.toIndex(b.load(count, {b.index(0)}));
  grad.pairs = b.toIndex(b.load(count, {b.index(1)}));
  grad.coef = grad.flat ? flatten(b, coef) : coef;
  grad.x = x;
  grad.dy = dy;
  grad.heads = b.staticDim(idx, 1);
  grad.selected = b.staticDim(idx, 2);
  grad.rowsPerExpert = b.staticDim(coef, 3);
  grad.vectors = b.staticDim(coef, 4);
  grad.width = b.staticDim(x, 1);
  return grad;
}

/// The position of a flat pair number in a `T x H x K` buffer.
static Values emitPosition(LoopBuilder &b, const RowGrad &grad, Value pair) {
  Value selected = b.index(grad.selected), heads = b.index(grad.heads);
  Value row = b.div(pair, selected);
  return {b.div(row, heads), b.rem(row, heads), b.rem(pair, selected)};
}

Segment peer::emitSegment(LoopBuilder &b, const RowGrad &grad, Value segment) {
  Segment s;
  s.begin = b.toIndex(b.load(grad.starts, {segment}));
  Value next = b.add(segment, b.index(1));
  Value last = b.cmp(CmpIPredicate::uge, next, grad.segments);
  Value following = b.toIndex(b.load(grad.starts, {b.select(last, segment, next)}));
  s.end = b.select(last, grad.pairs, following);
  Value pair = b.toIndex(b.load(grad.order, {s.begin}));
  s.expert = b.toIndex(b.load(grad.idx, grad.flat ? Values{pair} : emitPosition(b, grad, pair)));
  return s;
}

std::pair<Value, Value> peer::emitPair(LoopBuilder &b, const RowGrad &grad, Value entry, Value row, int64_t f) {
  Value pair = b.toIndex(b.load(grad.order, {entry}));
  Value token = b.div(pair, b.index(grad.heads * grad.selected));
  if (grad.flat) {
    Value flatRow = b.add(b.mul(pair, b.index(grad.rowsPerExpert)), row);
    return {b.load(grad.coef, {b.add(b.mul(flatRow, b.index(grad.vectors)), b.index(f))}), token};
  }
  Values at = emitPosition(b, grad, pair);
  at.append({row, b.index(f)});
  return {b.load(grad.coef, at), token};
}

//===----------------------------------------------------------------------===//
// Ops on flat buffers
//===----------------------------------------------------------------------===//

static bool isFlattenable(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getRank() > 0 && isDense(buffer, 0);
}

const char *peer::rejectUpdate(UpdateOp op) {
  bool flat =
      isFlattenable(op.getParam()) && isFlattenable(op.getGrad()) && llvm::all_of(op.getStates(), isFlattenable);
  return flat ? nullptr : "the parameter, its gradient or its states do not flatten";
}

const char *peer::rejectSumSquares(SumSquaresOp op) {
  return isFlattenable(op.getX()) ? nullptr : "x does not flatten";
}
