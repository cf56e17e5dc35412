//===- ExpandTensorOps.cpp - tensor ops become upstream's ----------------===//

#include "Passes.h"

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

#include <cmath>

namespace peer {
#define GEN_PASS_DEF_EXPANDTENSOROPS
#include "passes/Passes.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;
using utils::IteratorType;

namespace {

Value emptyLike(OpBuilder &b, Location loc, Value like) {
  Type element = cast<RankedTensorType>(like.getType()).getElementType();
  return tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, like), element);
}

Value fill(OpBuilder &b, Location loc, double value, Value init) {
  Type element = cast<RankedTensorType>(init.getType()).getElementType();
  Value scalar = arith::ConstantOp::create(b, loc, b.getFloatAttr(element, value));
  return linalg::FillOp::create(b, loc, scalar, init).getResult(0);
}

/// A loop over all of `loops` dimensions that reads x by `from` and writes `init` by `to`: dimensions of the loops.
Value walk(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> from, Value init, ArrayRef<int64_t> to, size_t loops,
           function_ref<Value(OpBuilder &, Value element, Value sum)> body) {
  auto map = [&](ArrayRef<int64_t> dims) {
    auto exprs = llvm::map_to_vector(dims, [&](int64_t dim) { return b.getAffineDimExpr(dim); });
    return AffineMap::get(loops, 0, exprs, b.getContext());
  };
  SmallVector<IteratorType> kinds(loops, IteratorType::reduction);
  for (int64_t dim : to)
    kinds[dim] = IteratorType::parallel;
  SmallVector<AffineMap> maps = {map(from), map(to)};
  return linalg::GenericOp::create(b, loc, TypeRange{init.getType()}, ValueRange{x}, ValueRange{init}, maps, kinds,
                                   [&](OpBuilder &inner, Location, ValueRange args) {
                                     linalg::YieldOp::create(inner, loc, body(inner, args[0], args[1]));
                                   })
      .getResult(0);
}

SmallVector<int64_t> allDims(Value value) {
  return llvm::to_vector(llvm::seq<int64_t>(0, cast<RankedTensorType>(value.getType()).getRank()));
}

Value expand(OpBuilder &b, SoftmaxOp op) {
  Location loc = op.getLoc();
  Value x = op.getX();
  auto softmax = linalg::SoftmaxOp::create(b, loc, TypeRange{x.getType()}, x, emptyLike(b, loc, x),
                                           uint64_t(allDims(x).size() - 1));
  b.setInsertionPoint(softmax);
  FailureOr<SmallVector<Value>> parts = softmax.decomposeOperation(b);
  softmax.erase();
  return succeeded(parts) ? parts->front() : Value();
}

Value expand(OpBuilder &b, BroadcastOp op) {
  Location loc = op.getLoc();
  SmallVector<int64_t> all = allDims(op.getLike());
  return walk(b, loc, op.getX(), op.getKeptDims(), emptyLike(b, loc, op.getLike()), all, all.size(),
              [](OpBuilder &, Value element, Value) { return element; });
}

Value expand(OpBuilder &b, ReduceOp op) {
  Location loc = op.getLoc();
  Value x = op.getX();
  SmallVector<int64_t> all = allDims(x), left = op.getKeptDims();
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x), kept;
  for (int64_t dim : left)
    kept.push_back(sizes[dim]);
  bool largest = op.getKind() == ReduceKind::Max;
  Value init = tensor::EmptyOp::create(b, loc, kept, type.getElementType());
  init = fill(b, loc, largest ? -std::numeric_limits<double>::infinity() : 0, init);
  Value result = walk(b, loc, x, all, init, left, all.size(), [&](OpBuilder &inner, Value element, Value sum) -> Value {
    if (largest)
      return arith::MaximumFOp::create(inner, loc, sum, element);
    return arith::AddFOp::create(inner, loc, sum, element);
  });
  if (op.getKind() != ReduceKind::Mean)
    return result;
  double count = 1;
  for (int64_t dim : op.getDims())
    count *= double(type.getDimSize(dim));
  SmallVector<int64_t> dims = allDims(result);
  return walk(b, loc, result, dims, emptyLike(b, loc, result), dims, dims.size(),
              [&](OpBuilder &inner, Value element, Value) -> Value {
                Value divisor = arith::ConstantOp::create(inner, loc, b.getFloatAttr(element.getType(), count));
                return arith::DivFOp::create(inner, loc, element, divisor);
              });
}

/// The part of one dimension, in the form that slices want.
struct Part {
  Part(OpBuilder &b, Location loc, Value whole, int64_t dim, int64_t from, OpFoldResult size)
      : offsets(allDims(whole).size(), b.getIndexAttr(0)), steps(offsets.size(), b.getIndexAttr(1)),
        sizes(tensor::getMixedSizes(b, loc, whole)) {
    offsets[dim] = b.getIndexAttr(from);
    sizes[dim] = size;
  }
  SmallVector<OpFoldResult> offsets, steps, sizes;
};

Value expand(OpBuilder &b, SliceOp op) {
  Part part(b, op.getLoc(), op.getX(), op.getDim(), op.getFrom(), b.getIndexAttr(op.getSize()));
  return tensor::ExtractSliceOp::create(b, op.getLoc(), op.getX(), part.offsets, part.sizes, part.steps);
}

int64_t sizeOf(Value value, int64_t dim) { return cast<RankedTensorType>(value.getType()).getDimSize(dim); }

/// Room for the result of an op whose first input differs from it in dimension `dim` alone.
Value emptyResult(OpBuilder &b, Location loc, Value input, int64_t dim, int64_t size) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, input);
  sizes[dim] = b.getIndexAttr(size);
  return tensor::EmptyOp::create(b, loc, sizes, cast<RankedTensorType>(input.getType()).getElementType());
}

Value insert(OpBuilder &b, Location loc, Value source, Value into, int64_t dim, int64_t from) {
  Part part(b, loc, source, dim, from, b.getIndexAttr(sizeOf(source, dim)));
  return tensor::InsertSliceOp::create(b, loc, source, into, part.offsets, part.sizes, part.steps);
}

Value expand(OpBuilder &b, PadOp op) {
  Location loc = op.getLoc();
  int64_t dim = op.getDim(), size = sizeOf(op.getX(), dim);
  if (op.getLow() == 0 && op.getHigh() == 0)
    return op.getX();
  Value zeros = fill(b, loc, 0, emptyResult(b, loc, op.getX(), dim, op.getLow() + size + op.getHigh()));
  return insert(b, loc, op.getX(), zeros, dim, op.getLow());
}

Value expand(OpBuilder &b, ConcatOp op) {
  Location loc = op.getLoc();
  int64_t dim = op.getDim(), size = 0, from = 0;
  for (Value part : op.getXs())
    size += sizeOf(part, dim);
  Value result = emptyResult(b, loc, op.getXs().front(), dim, size);
  for (Value part : op.getXs()) {
    result = insert(b, loc, part, result, dim, from);
    from += sizeOf(part, dim);
  }
  return result;
}

Value expand(OpBuilder &b, TransposeOp op) {
  Location loc = op.getLoc();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, op.getX()), turned;
  for (int64_t dim : op.getPermutation())
    turned.push_back(sizes[dim]);
  Value init = tensor::EmptyOp::create(b, loc, turned, cast<RankedTensorType>(op.getX().getType()).getElementType());
  return walk(b, loc, op.getX(), allDims(op.getX()), init, op.getPermutation(), turned.size(),
              [](OpBuilder &, Value element, Value) { return element; });
}

/// The sigmoid is above the threshold where its operand is above the threshold's logit.
Value expand(OpBuilder &b, StraightThroughOp op) {
  Location loc = op.getLoc();
  Value val = op.getVal();
  SmallVector<int64_t> all = allDims(val);
  double threshold = op.getThreshold().convertToDouble();
  bool soft = op.getSoft();
  auto step = [&](OpBuilder &inner, Value score, Value) -> Value {
    auto number = [&](double value) -> Value {
      return arith::ConstantOp::create(inner, loc, inner.getF32FloatAttr(float(value)));
    };
    Value one = number(1), weight = one;
    if (soft) {
      Value inverse = math::ExpOp::create(inner, loc, arith::NegFOp::create(inner, loc, score));
      weight = arith::DivFOp::create(inner, loc, one, arith::AddFOp::create(inner, loc, one, inverse));
    }
    Value taken = arith::CmpFOp::create(inner, loc, arith::CmpFPredicate::OGT, score,
                                        number(std::log(threshold / (1 - threshold))));
    return arith::SelectOp::create(inner, loc, taken, weight, number(0));
  };
  return walk(b, loc, val, all, emptyLike(b, loc, val), all, all.size(), step);
}

/// The golden ratio's bits: multiples of it lie far apart.
constexpr uint32_t kGolden = 0x9e3779b9;
/// MurmurHash3's finalizer: shifts, and factors between them.
constexpr uint32_t kShifts[] = {16, 13, 16}, kFactors[] = {0x85ebca6b, 0xc2b2ae35};
constexpr uint32_t mixBits(uint32_t h) {
  h = (h ^ h >> kShifts[0]) * kFactors[0];
  h = (h ^ h >> kShifts[1]) * kFactors[1];
  return h ^ h >> kShifts[2];
}

Value mixBits(OpBuilder &b, Location loc, Value h) {
  auto number = [&](uint32_t value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(int32_t(value)));
  };
  for (size_t i = 0; i < std::size(kShifts); ++i) {
    h = arith::XOrIOp::create(b, loc, h, arith::ShRUIOp::create(b, loc, h, number(kShifts[i])));
    if (i < std::size(kFactors))
      h = arith::MulIOp::create(b, loc, h, number(kFactors[i]));
  }
  return h;
}

struct ExpandHash : OpRewritePattern<HashOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(HashOp op, PatternRewriter &rewriter) const override {
    if (op->getNumResults() != 2 || !op.getOuts().empty())
      return rewriter.notifyMatchFailure(op, "not in value form");
    Location loc = op.getLoc();
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, op.getTokens());
    sizes.append(2, rewriter.getIndexAttr(1));
    auto salt = int32_t(mixBits(uint32_t(op.getSeed()) + kGolden)), experts = int32_t(op.getExperts());
    auto hash = [&](OpBuilder &b, Value token, Value) -> Value {
      auto number = [&](int32_t value) -> Value {
        return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
      };
      Value mixed = mixBits(b, loc, arith::XOrIOp::create(b, loc, token, number(salt)));
      return arith::RemUIOp::create(b, loc, mixed, number(experts));
    };
    Value idx = walk(rewriter, loc, op.getTokens(), {0},
                     tensor::EmptyOp::create(rewriter, loc, sizes, rewriter.getI32Type()), {0, 1, 2}, 3, hash);
    Value weights = fill(rewriter, loc, 1, tensor::EmptyOp::create(rewriter, loc, sizes, rewriter.getF32Type()));
    SmallVector<Value> results;
    for (auto [value, result] : llvm::zip_equal(ValueRange{idx, weights}, op->getResults()))
      results.push_back(value.getType() == result.getType()
                            ? value
                            : tensor::CastOp::create(rewriter, loc, result.getType(), value).getResult());
    rewriter.replaceOp(op, results);
    return success();
  }
};

/// The number of the element at hand among those of a tensor of these sizes, as an i32 that wraps.
Value numberOfElement(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes) {
  Value number;
  for (auto [dim, size] : llvm::enumerate(sizes)) {
    auto toI32 = [&](Value index) { return arith::IndexCastOp::create(b, loc, b.getI32Type(), index).getResult(); };
    Value at = toI32(linalg::IndexOp::create(b, loc, dim));
    if (number) {
      number = arith::MulIOp::create(b, loc, number, toI32(getValueOrCreateConstantIndexOp(b, loc, size)));
      at = arith::AddIOp::create(b, loc, number, at);
    }
    number = at;
  }
  return number;
}

/// Numbers of places and elements go through one hash, the seed joins what comes out for another: what two seeds keep is alike
/// in no part of a tensor.
Value expand(OpBuilder &b, DropoutOp op) {
  Location loc = op.getLoc();
  if (!op.getSeed())
    return op.getX();
  double rate = op.getRate().convertToDouble();
  auto threshold = uint32_t(std::min(std::round(rate * 0x1p32), 0x1p32 - 1));
  auto place = uint32_t(op.getPlace()) * kGolden;
  Value x = op.getX(), init = emptyLike(b, loc, x);
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x);
  AffineMap all = b.getMultiDimIdentityMap(sizes.size()), none = AffineMap::get(sizes.size(), 0, b.getContext());
  auto body = [&](OpBuilder &inner, Location, ValueRange args) {
    auto bits = [&](uint32_t value) -> Value {
      return arith::ConstantOp::create(inner, loc, b.getI32IntegerAttr(int32_t(value)));
    };
    Value number = arith::XOrIOp::create(inner, loc, numberOfElement(inner, loc, sizes), bits(place));
    Value chance = mixBits(inner, loc, arith::XOrIOp::create(inner, loc, mixBits(inner, loc, number), args[1]));
    Value kept = arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::uge, chance, bits(threshold));
    Value scale = arith::ConstantOp::create(inner, loc, b.getF32FloatAttr(float(1 / (1 - rate))));
    Value zero = arith::ConstantOp::create(inner, loc, b.getF32FloatAttr(0));
    Value scaled = arith::MulFOp::create(inner, loc, args[0], scale);
    linalg::YieldOp::create(inner, loc, Value(arith::SelectOp::create(inner, loc, kept, scaled, zero)));
  };
  return linalg::GenericOp::create(b, loc, TypeRange{x.getType()}, ValueRange{x, op.getSeed()}, ValueRange{init},
                                   SmallVector<AffineMap>{all, none, all},
                                   SmallVector<IteratorType>(sizes.size(), IteratorType::parallel), body)
      .getResult(0);
}

template <typename OpTy>
struct Expand : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (op->getNumResults() != 1 || !op.getOuts().empty())
      return rewriter.notifyMatchFailure(op, "not in value form");
    Value result = expand(rewriter, op);
    if (!result)
      return failure();
    if (result.getType() != op->getResult(0).getType())
      result = tensor::CastOp::create(rewriter, op.getLoc(), op->getResult(0).getType(), result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct ExpandTensorOps : peer::impl::ExpandTensorOpsBase<ExpandTensorOps> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Expand<SoftmaxOp>, Expand<BroadcastOp>, Expand<ReduceOp>, Expand<SliceOp>, Expand<PadOp>,
                 Expand<ConcatOp>, Expand<TransposeOp>, Expand<DropoutOp>, Expand<StraightThroughOp>, ExpandHash>(
        &getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
