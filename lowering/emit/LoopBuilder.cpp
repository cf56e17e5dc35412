//===- LoopBuilder.cpp - short names for loops over buffers --------------===//

#include "LoopBuilder.h"

#include "narrow/FP8.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace peer;

//===----------------------------------------------------------------------===//
// Constants and sizes
//===----------------------------------------------------------------------===//

Value LoopBuilder::index(int64_t value) { return arith::ConstantIndexOp::create(*this, value); }

Value LoopBuilder::i32(int64_t value) { return arith::ConstantOp::create(*this, getI32IntegerAttr(value)); }

Value LoopBuilder::i64(int64_t value) { return arith::ConstantOp::create(*this, getI64IntegerAttr(value)); }

Value LoopBuilder::f32(double value, Type like) {
  auto scalar = getF32FloatAttr(float(value));
  if (auto vector = dyn_cast_or_null<VectorType>(like))
    return arith::ConstantOp::create(*this, DenseElementsAttr::get(vector, scalar));
  return arith::ConstantOp::create(*this, scalar);
}

Value LoopBuilder::dim(Value buffer, unsigned i) {
  auto type = cast<MemRefType>(buffer.getType());
  if (!type.isDynamicDim(i))
    return index(type.getDimSize(i));
  return memref::DimOp::create(*this, buffer, i);
}

int64_t LoopBuilder::staticDim(Value buffer, unsigned i) { return cast<MemRefType>(buffer.getType()).getDimSize(i); }

Type LoopBuilder::floats(int64_t lanes) {
  return lanes == 1 ? Type(getF32Type()) : Type(VectorType::get({lanes}, getF32Type()));
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static bool isFloat(Value v) { return isa<FloatType>(getElementTypeOrSelf(v.getType())); }

Value LoopBuilder::add(Value a, Value b) {
  return isFloat(a) ? Value(arith::AddFOp::create(*this, a, b)) : Value(arith::AddIOp::create(*this, a, b));
}
Value LoopBuilder::sub(Value a, Value b) {
  return isFloat(a) ? Value(arith::SubFOp::create(*this, a, b)) : Value(arith::SubIOp::create(*this, a, b));
}
Value LoopBuilder::mul(Value a, Value b) {
  return isFloat(a) ? Value(arith::MulFOp::create(*this, a, b)) : Value(arith::MulIOp::create(*this, a, b));
}
Value LoopBuilder::div(Value a, Value b) {
  return isFloat(a) ? Value(arith::DivFOp::create(*this, a, b)) : Value(arith::DivUIOp::create(*this, a, b));
}
Value LoopBuilder::rem(Value a, Value b) { return arith::RemUIOp::create(*this, a, b); }
Value LoopBuilder::ceilDiv(Value a, Value b) {
  std::optional<int64_t> n = getConstantIntValue(a), d = getConstantIntValue(b);
  if (n && d)
    return index(llvm::divideCeil(*n, *d));
  return div(add(a, d ? index(*d - 1) : sub(b, index(1))), b);
}
Value LoopBuilder::fma(Value a, Value b, Value c) {
  if (isa<VectorType>(a.getType()))
    return vector::FMAOp::create(*this, a, b, c);
  return math::FmaOp::create(*this, a, b, c);
}
Value LoopBuilder::max(Value a, Value b) {
  return isFloat(a) ? Value(arith::MaximumFOp::create(*this, a, b)) : Value(arith::MaxSIOp::create(*this, a, b));
}
Value LoopBuilder::min(Value a, Value b) {
  return isFloat(a) ? Value(arith::MinimumFOp::create(*this, a, b)) : Value(arith::MinSIOp::create(*this, a, b));
}
Value LoopBuilder::exp(Value a) { return math::ExpOp::create(*this, a); }
Value LoopBuilder::log(Value a) { return math::LogOp::create(*this, a); }
Value LoopBuilder::sqrt(Value a) { return math::SqrtOp::create(*this, a); }
Value LoopBuilder::neg(Value a) { return arith::NegFOp::create(*this, a); }
Value LoopBuilder::cmp(arith::CmpFPredicate p, Value a, Value b) { return arith::CmpFOp::create(*this, p, a, b); }
Value LoopBuilder::cmp(arith::CmpIPredicate p, Value a, Value b) { return arith::CmpIOp::create(*this, p, a, b); }
Value LoopBuilder::select(Value condition, Value a, Value b) { return arith::SelectOp::create(*this, condition, a, b); }

Value LoopBuilder::toIndex(Value a) {
  return a.getType().isIndex() ? a : Value(arith::IndexCastOp::create(*this, getIndexType(), a));
}
Value LoopBuilder::toI32(Value a) {
  return a.getType().isInteger(32) ? a : Value(arith::IndexCastOp::create(*this, getI32Type(), a));
}
Value LoopBuilder::toF32(Value a) {
  // index has no direct conversion; 64 bits keep every count exact.
  Value integer = a.getType().isIndex() ? Value(arith::IndexCastOp::create(*this, getI64Type(), a)) : a;
  return arith::SIToFPOp::create(*this, getF32Type(), integer);
}

Value LoopBuilder::splat(Value scalar, Type like) {
  auto vector = dyn_cast<VectorType>(like);
  if (!vector)
    return scalar;
  return vector::BroadcastOp::create(*this, VectorType::get(vector.getShape(), scalar.getType()), scalar);
}

Value LoopBuilder::sumLanes(Value v) {
  if (!isa<VectorType>(v.getType()))
    return v;
  // Lanes may be added in any order: a tree, not a chain.
  return vector::ReductionOp::create(*this, vector::CombiningKind::ADD, v, arith::FastMathFlags::reassoc);
}

Value LoopBuilder::maxLanes(Value v) {
  if (!isa<VectorType>(v.getType()))
    return v;
  return vector::ReductionOp::create(*this, vector::CombiningKind::MAXIMUMF, v);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static Type withElement(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return VectorType::get(vector.getShape(), element);
  return element;
}

Value LoopBuilder::roundToBf16(Value a) {
  Value narrow = arith::TruncFOp::create(*this, withElement(a.getType(), getBF16Type()), a);
  return arith::ExtFOp::create(*this, a.getType(), narrow);
}

Value LoopBuilder::load(Value buffer, ValueRange at) { return load(buffer, at, 1); }

Value LoopBuilder::load(Value buffer, ValueRange at, int64_t lanes) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  Value loaded = lanes == 1 ? Value(memref::LoadOp::create(*this, buffer, at))
                            : Value(vector::LoadOp::create(*this, VectorType::get({lanes}, element), buffer, at));
  if (element.isBF16())
    return arith::ExtFOp::create(*this, withElement(loaded.getType(), getF32Type()), loaded);
  if (isa<Float8E4M3FNType>(element))
    return widenFP8(*this, loaded);
  if (element.isInteger(8))
    return arith::SIToFPOp::create(*this, withElement(loaded.getType(), getF32Type()), loaded);
  return loaded;
}

void LoopBuilder::store(Value v, Value buffer, ValueRange at) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  if (element.isBF16() && !getElementTypeOrSelf(v.getType()).isBF16())
    v = arith::TruncFOp::create(*this, withElement(v.getType(), element), v);
  if (isa<VectorType>(v.getType()))
    vector::StoreOp::create(*this, v, buffer, at);
  else
    memref::StoreOp::create(*this, v, buffer, at);
}

void LoopBuilder::prefetch(Value buffer, ValueRange at) {
  // Locality 2: into L2; a row is read once, a few iterations later.
  memref::PrefetchOp::create(*this, buffer, at, /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
}

Value LoopBuilder::stack(ArrayRef<int64_t> shape, Type element) {
  return memref::AllocaOp::create(*this, MemRefType::get(shape, element), ValueRange{}, getI64IntegerAttr(64));
}

Value LoopBuilder::heap(ArrayRef<int64_t> shape, Type element, ValueRange dynamic) {
  return memref::AllocOp::create(*this, MemRefType::get(shape, element), dynamic, getI64IntegerAttr(64));
}

void LoopBuilder::free(Value buffer) { memref::DeallocOp::create(*this, buffer); }

Value LoopBuilder::slice(Value buffer, ValueRange at) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<OpFoldResult> offsets, sizes;
  SmallVector<OpFoldResult> strides(type.getRank(), getIndexAttr(1));
  for (int64_t i = 0; i < type.getRank(); ++i) {
    bool fixed = i < int64_t(at.size());
    offsets.push_back(fixed ? getAsOpFoldResult(at[i]) : OpFoldResult(getIndexAttr(0)));
    sizes.push_back(fixed                  ? OpFoldResult(getIndexAttr(1))
                    : type.isDynamicDim(i) ? getAsOpFoldResult(dim(buffer, i))
                                           : OpFoldResult(getIndexAttr(type.getDimSize(i))));
  }
  auto reduced = memref::SubViewOp::inferRankReducedResultType(type.getShape().drop_front(at.size()), type, offsets,
                                                               sizes, strides);
  return memref::SubViewOp::create(*this, cast<MemRefType>(reduced), buffer, offsets, sizes, strides);
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void LoopBuilder::loop(Value low, Value high, Body body, int64_t step) {
  auto loop = scf::ForOp::create(*this, low, high, index(step));
  InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

SmallVector<Value> LoopBuilder::loop(Value low, Value high, ValueRange init, CarryBody body, int64_t step) {
  auto loop = scf::ForOp::create(*this, low, high, index(step), init);
  InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  // A loop without carried values gets its terminator from the builder.
  if (!init.empty())
    scf::YieldOp::create(*this, next);
  return SmallVector<Value>(loop.getResults());
}

void LoopBuilder::parallel(ValueRange high, llvm::function_ref<void(ValueRange)> body) {
  SmallVector<Value> low(high.size(), index(0)), step(high.size(), index(1));
  auto loop = scf::ParallelOp::create(*this, low, high, step);
  InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVars());
}

void LoopBuilder::ifThen(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(*this, condition, /*withElseRegion=*/bool(otherwise));
  InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  then();
  if (!otherwise)
    return;
  setInsertionPointToStart(op.elseBlock());
  otherwise();
}

void LoopBuilder::strips(Value size, int64_t lanes, llvm::function_ref<void(Value, int64_t)> body) {
  APInt constant;
  bool isStatic = matchPattern(size, m_ConstantInt(&constant));
  Value whole;
  if (isStatic) {
    int64_t n = constant.getSExtValue();
    if (n / lanes == 1)
      body(index(0), lanes);
    else if (n / lanes > 1)
      loop(index(0), index(n - n % lanes), [&](Value at) { body(at, lanes); }, lanes);
    if (n % lanes)
      body(index(n - n % lanes), n % lanes);
    return;
  }
  whole = sub(size, rem(size, index(lanes)));
  loop(index(0), whole, [&](Value at) { body(at, lanes); }, lanes);
  if (lanes > 1)
    loop(whole, size, [&](Value at) { body(at, 1); });
}

/// Shared by sum and maximum: `join` combines values of equal type, `fold` a value's lanes.
static Value reduceStrips(LoopBuilder &b, Value size, int64_t lanes, double identity,
                          llvm::function_ref<Value(Value, int64_t)> term, llvm::function_ref<Value(Value, Value)> join,
                          llvm::function_ref<Value(Value)> fold) {
  constexpr int64_t kAccumulators = 4;
  Value total = b.f32(identity);
  APInt constant;
  bool isStatic = matchPattern(size, m_ConstantInt(&constant));
  Type wide = b.floats(lanes);
  Value start = b.index(0);
  // The four-strip loop, where the size allows it (or might, if dynamic).
  int64_t block = lanes * kAccumulators;
  if (!isStatic || constant.getSExtValue() >= block) {
    Value end = b.sub(size, b.rem(size, b.index(block)));
    if (isStatic)
      end = b.index(constant.getSExtValue() / block * block);
    SmallVector<Value> init(kAccumulators, b.f32(identity, wide));
    SmallVector<Value> parts = b.loop(
        start, end, init,
        [&](Value at, ValueRange carried) {
          SmallVector<Value> next;
          for (int64_t i = 0; i < kAccumulators; ++i)
            next.push_back(join(carried[i], term(b.add(at, b.index(i * lanes)), lanes)));
          return next;
        },
        block);
    total = fold(join(join(parts[0], parts[1]), join(parts[2], parts[3])));
    start = end;
  }
  if (isStatic) {
    int64_t n = constant.getSExtValue(), at = n / block * block;
    Value rest;
    for (; at + lanes <= n; at += lanes) {
      Value v = term(b.index(at), lanes);
      rest = rest ? join(rest, v) : v;
    }
    if (rest)
      total = join(total, fold(rest));
    if (at < n)
      total = join(total, fold(term(b.index(at), n - at)));
    return total;
  }
  return b.loop(start, size, total,
                [&](Value at, ValueRange carried) { return SmallVector<Value>{join(carried[0], term(at, 1))}; })[0];
}

Value LoopBuilder::sumStrips(Value size, int64_t lanes, llvm::function_ref<Value(Value, int64_t)> term) {
  return reduceStrips(
      *this, size, lanes, 0.0, term, [&](Value a, Value b) { return add(a, b); }, [&](Value v) { return sumLanes(v); });
}

Value LoopBuilder::maxStrips(Value size, int64_t lanes, llvm::function_ref<Value(Value, int64_t)> term) {
  return reduceStrips(
      *this, size, lanes, -std::numeric_limits<double>::infinity(), term, [&](Value a, Value b) { return max(a, b); },
      [&](Value v) { return maxLanes(v); });
}
