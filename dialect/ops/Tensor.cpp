//===- Tensor.cpp - constraints and index notation of the tensor ops -----===//
//
// Every dimension is a loop but those that an op takes whole: so the rows of tokens can be followed through all of them.
//
//===----------------------------------------------------------------------===//

#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;

#define FINISH(...) return finishInference(check, a.getOperands(), a.getOuts(), {__VA_ARGS__}, types)

static LogicalResult checkF32(Check &check, StringRef name, Value value) {
  auto type = cast<ShapedType>(value.getType());
  return check.require(1, type.getElementType().isF32(), "expected " + name + " to be f32");
}

/// Whether these are dimensions of a rank, in order and each once.
static bool areDims(ArrayRef<int64_t> dims, int64_t rank) {
  for (auto [i, dim] : llvm::enumerate(dims))
    if (dim < 0 || dim >= rank || (i > 0 && dims[i - 1] >= dim))
      return false;
  return true;
}

/// Checks that `dim` is a static dimension of x.
static LogicalResult checkStaticDim(Check &check, int constraint, ShapedType x, int64_t dim) {
  if (dim < 0 || dim >= x.getRank())
    return check.fail(constraint,
                      "expected a dimension of " + Twine(x.getRank()) + ", counted from 0, got " + Twine(dim));
  return check.require(constraint, !x.isDynamicDim(dim),
                       "expected a dimension whose size is a number, but dimension " + Twine(dim) + " is '?'");
}

/// The loops over the dimensions of a rank, `.` for those in `whole`.
static SmallVector<std::string> loopsOf(int64_t rank, ArrayRef<int64_t> whole = {}) {
  SmallVector<std::string> loops;
  for (int64_t i = 0; i < rank; ++i)
    loops.push_back(llvm::is_contained(whole, i) ? "." : std::string(1, char('a' + i)));
  return loops;
}
static std::string join(ArrayRef<std::string> loops) { return llvm::join(loops, " "); }

/// Those that are not among `dims`.
template <typename T>
static SmallVector<T> without(ArrayRef<T> all, ArrayRef<int64_t> dims) {
  SmallVector<T> left;
  for (auto [i, value] : llvm::enumerate(all))
    if (!llvm::is_contained(dims, int64_t(i)))
      left.push_back(value);
  return left;
}

static int64_t rankOf(Value value) { return cast<ShapedType>(value.getType()).getRank(); }

PEER_INFER(SoftmaxOp) {
  Check check(loc, "softmax");
  auto x = cast<ShapedType>(a.getX().getType());
  if (failed(checkF32(check, "x", a.getX())) ||
      failed(check.require(1, x.getRank() > 0 && !x.isDynamicDim(x.getRank() - 1),
                           "expected x to have a last dimension whose size is a number")))
    return failure();
  FINISH(asTensor(x));
}
std::string SoftmaxOp::getIndexNotation() {
  std::string dims = join(loopsOf(rankOf(getX()), {rankOf(getX()) - 1}));
  return dims + " -> " + dims;
}

PEER_INFER(BroadcastOp) {
  Check check(loc, "broadcast");
  auto x = cast<ShapedType>(a.getX().getType()), like = cast<ShapedType>(a.getLike().getType());
  if (failed(checkF32(check, "x", a.getX())) || failed(checkF32(check, "like", a.getLike())))
    return failure();
  if (!areDims(a.getDims(), like.getRank()))
    return check.fail(2, "expected dimensions of like, below " + Twine(like.getRank()) + ", in order and each once");
  SmallVector<int64_t> wanted = without(like.getShape(), a.getDims());
  if (x.getShape() != ArrayRef(wanted)) {
    std::string text;
    llvm::raw_string_ostream(text) << RankedTensorType::get(wanted, x.getElementType()) << ", got " << asTensor(x);
    return check.fail(2, "expected x to have the other dimensions of like, as " + text);
  }
  FINISH(asTensor(like));
}
SmallVector<int64_t> BroadcastOp::getKeptDims() {
  return without<int64_t>(llvm::to_vector(llvm::seq<int64_t>(0, rankOf(getLike()))), getDims());
}
std::string BroadcastOp::getIndexNotation() {
  SmallVector<std::string> all = loopsOf(rankOf(getLike()));
  return join(without<std::string>(all, getDims())) + ", " + join(all) + " -> " + join(all);
}

PEER_INFER(ReduceOp) {
  Check check(loc, "reduce");
  auto x = cast<ShapedType>(a.getX().getType());
  if (failed(checkF32(check, "x", a.getX())))
    return failure();
  if (a.getDims().empty() || !areDims(a.getDims(), x.getRank()))
    return check.fail(2, "expected dimensions of x, below " + Twine(x.getRank()) + ", in order and each once");
  if (a.getKind() != ReduceKind::Sum && llvm::any_of(a.getDims(), [&](int64_t dim) { return x.isDynamicDim(dim); }))
    return check.fail(3,
                      "expected dimensions whose sizes are numbers; over '?' there is sum, and peer.mean of a vector");
  FINISH(RankedTensorType::get(without(x.getShape(), a.getDims()), x.getElementType()));
}
SmallVector<int64_t> ReduceOp::getKeptDims() {
  return without<int64_t>(llvm::to_vector(llvm::seq<int64_t>(0, rankOf(getX()))), getDims());
}
std::string ReduceOp::getIndexNotation() {
  SmallVector<std::string> all = loopsOf(rankOf(getX()));
  // A tile has all that is summed up.
  for (int64_t dim : getDims())
    all[dim] = StringRef(all[dim]).upper();
  return join(all) + " -> " + join(without<std::string>(all, getDims()));
}

PEER_INFER(SliceOp) {
  Check check(loc, "slice");
  auto x = cast<ShapedType>(a.getX().getType());
  int64_t dim = a.getDim(), from = a.getFrom(), size = a.getSize();
  if (failed(check.require(1, x.getElementType().isF32() || x.getElementType().isBF16(),
                           "expected x to be f32 or bf16")) ||
      failed(checkStaticDim(check, 1, x, dim)))
    return failure();
  if (from < 0 || size < 1 || size > x.getDimSize(dim) || from > x.getDimSize(dim) - size)
    return check.fail(2, "expected a part of dimension " + Twine(dim) + ", which has " + Twine(x.getDimSize(dim)) +
                             " elements, got " + Twine(size) + " from " + Twine(from));
  SmallVector<int64_t> shape(x.getShape());
  shape[dim] = size;
  FINISH(RankedTensorType::get(shape, x.getElementType()));
}
std::string SliceOp::getIndexNotation() {
  std::string dims = join(loopsOf(rankOf(getX()), {int64_t(getDim())}));
  return dims + " -> " + dims;
}

PEER_INFER(PadOp) {
  Check check(loc, "pad");
  auto x = cast<ShapedType>(a.getX().getType());
  int64_t dim = a.getDim(), low = a.getLow(), high = a.getHigh();
  if (failed(checkF32(check, "x", a.getX())) || failed(checkStaticDim(check, 1, x, dim)))
    return failure();
  constexpr int64_t kMost = int64_t(1) << 40;
  if (low < 0 || high < 0 || low > kMost || high > kMost)
    return check.fail(2, "expected 0 to 2^40 zeros on each side, got " + Twine(low) + " and " + Twine(high));
  SmallVector<int64_t> shape(x.getShape());
  shape[dim] += low + high;
  FINISH(RankedTensorType::get(shape, x.getElementType()));
}
std::string PadOp::getIndexNotation() {
  std::string dims = join(loopsOf(rankOf(getX()), {int64_t(getDim())}));
  return dims + " -> " + dims;
}

PEER_INFER(ConcatOp) {
  Check check(loc, "concat");
  if (a.getXs().empty())
    return check.fail(1, "expected one part at least");
  auto first = cast<ShapedType>(a.getXs().front().getType());
  int64_t dim = a.getDim(), size = 0;
  for (Value part : a.getXs()) {
    auto type = cast<ShapedType>(part.getType());
    bool integers = first.getElementType().isInteger(32) && type.getElementType().isInteger(32);
    if ((!integers && failed(checkF32(check, "each part", part))) ||
        failed(check.require(1, type.getRank() == first.getRank(), "expected parts of one rank")) ||
        failed(checkStaticDim(check, 2, type, dim)))
      return failure();
    for (auto [i, sizes] : llvm::enumerate(llvm::zip(type.getShape(), first.getShape())))
      if (auto [here, there] = sizes; int64_t(i) != dim && here != there)
        return check.fail(2, "expected parts of equal sizes in dimension " + Twine(int64_t(i)));
    size += type.getDimSize(dim);
  }
  SmallVector<int64_t> shape(first.getShape());
  shape[dim] = size;
  FINISH(RankedTensorType::get(shape, first.getElementType()));
}
std::string ConcatOp::getIndexNotation() {
  std::string dims = join(loopsOf(rankOf(getXs().front()), {int64_t(getDim())}));
  return llvm::join(SmallVector<std::string>(getXs().size(), dims), ", ") + " -> " + dims;
}

PEER_INFER(TransposeOp) {
  Check check(loc, "transpose");
  auto x = cast<ShapedType>(a.getX().getType());
  if (failed(checkF32(check, "x", a.getX())))
    return failure();
  SmallVector<int64_t> sorted(a.getPermutation());
  llvm::sort(sorted);
  if (int64_t(sorted.size()) != x.getRank() || !areDims(sorted, x.getRank()))
    return check.fail(2, "expected each of the " + Twine(x.getRank()) + " dimensions of x once");
  SmallVector<int64_t> shape;
  for (int64_t dim : a.getPermutation())
    shape.push_back(x.getDimSize(dim));
  FINISH(RankedTensorType::get(shape, x.getElementType()));
}
std::string TransposeOp::getIndexNotation() {
  SmallVector<std::string> all = loopsOf(rankOf(getX())), turned;
  for (int64_t dim : getPermutation())
    turned.push_back(all[dim]);
  return join(all) + " -> " + join(turned);
}

PEER_INFER(DropoutOp) {
  Check check(loc, "dropout");
  auto x = cast<ShapedType>(a.getX().getType());
  double rate = a.getRate().convertToDouble();
  SmallString<16> got;
  a.getRate().toString(got);
  if (failed(checkF32(check, "x", a.getX())) ||
      failed(check.require(1, x.getRank() > 0, "expected x to have a dimension")) ||
      failed(check.require(2, rate >= 0 && rate < 1, "expected a rate of at least 0 and below 1, got " + got)))
    return failure();
  if (a.getSeed() && failed(check.shape(3, "seed", a.getSeed(), "", Elements::I32)))
    return failure();
  FINISH(asTensor(x));
}
std::string DropoutOp::getIndexNotation() {
  std::string dims = join(loopsOf(rankOf(getX())));
  // With a seed elements are numbered: a tile would need the number of its first one.
  return getSeed() ? StringRef(dims).upper() + ", -> " + StringRef(dims).upper() : dims + " -> " + dims;
}
