//===- Check.cpp - numbered constraints of ops ---------------------------===//

#include "dialect/ops/Check.h"

#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace peer;

LogicalResult Check::fail(int c, const Twine &message) {
  return emitOptionalError(loc, "'peer.", op, "' op C", c, ": ", message.str());
}

static std::string describe(StringRef pattern, Elements elements) {
  std::string text;
  for (StringRef rest = pattern; !rest.empty();) {
    auto [head, tail] = rest.split(' ');
    text += (text.empty() ? "" : " x ") + head.str();
    rest = tail;
  }
  if (text.empty())
    text = "of rank 0";
  static const char *names[] = {" f32", " f32 or bf16", " f32 or f64", " i32", " i8", " i8 or f8E4M3FN"};
  return text + names[int(elements)];
}

static bool accepts(Elements elements, Type type) {
  if (elements == Elements::I32 || elements == Elements::I8)
    return type.isSignlessInteger(elements == Elements::I32 ? 32 : 8);
  if (elements == Elements::I8OrFP8)
    return type.isSignlessInteger(8) || isa<Float8E4M3FNType>(type);
  return type.isF32() || (elements == Elements::F32OrBF16 && type.isBF16()) ||
         (elements == Elements::F32OrF64 && type.isF64());
}

LogicalResult Check::epsilon(int c, const APFloat &value) {
  SmallString<16> got;
  value.toString(got);
  return require(c, value.isNormal() && !value.isNegative(),
                 "expected an epsilon that is a normal f32 above 0 (1.2e-38 or more), got " + got);
}

LogicalResult Check::shape(ConstraintNumbers c, StringRef name, Value value, StringRef pattern, Elements elements) {
  auto type = cast<ShapedType>(value.getType());
  std::string got;
  llvm::raw_string_ostream(got) << type;
  auto mismatch = [&](int number, const Twine &why) {
    return fail(number, "expected " + name + " to be " + describe(pattern, elements) + why + ", got " + got);
  };
  SmallVector<StringRef> dims;
  pattern.split(dims, ' ', -1, /*KeepEmpty=*/false);
  if (type.getRank() != int64_t(dims.size()))
    return mismatch(c.rank, "");
  if (!accepts(elements, type.getElementType()))
    return mismatch(c.element, "");
  for (auto [dim, size] : llvm::zip(dims, type.getShape())) {
    int64_t number;
    if (!dim.getAsInteger(10, number)) {
      if (size != number)
        return mismatch(c.dims, "");
      continue;
    }
    char letter = dim.front();
    if (ShapedType::isDynamic(size) && letter != 'T' && letter != 'R')
      return mismatch(c.dims, " with static " + Twine(dim));
    auto [it, fresh] = sizes.try_emplace(letter, size);
    if (fresh || ShapedType::isDynamic(size))
      continue;
    if (ShapedType::isDynamic(it->second))
      it->second = size;
    else if (it->second != size)
      return mismatch(c.dims, " with " + Twine(dim) + " = " + Twine(it->second));
  }
  return success();
}

LogicalResult Check::context(int c, int64_t context) {
  int64_t tokens = (*this)['T'];
  if (failed(require(c, context >= 1, "expected a context of at least 1, got " + Twine(context))))
    return failure();
  return require(c, ShapedType::isDynamic(tokens) || tokens % context == 0,
                 "expected T to be a multiple of the context " + Twine(context) + ", got " + Twine(tokens));
}

RankedTensorType Check::tensor(StringRef pattern, Type element) const {
  SmallVector<StringRef> dims;
  pattern.split(dims, ' ', -1, /*KeepEmpty=*/false);
  SmallVector<int64_t> shape;
  for (StringRef dim : dims) {
    int64_t number;
    shape.push_back(dim.getAsInteger(10, number) ? (*this)[dim.front()] : number);
  }
  return RankedTensorType::get(shape, element);
}

int64_t peer::productOf(ArrayRef<int64_t> sizes) {
  uint64_t product = 1;
  for (int64_t size : sizes)
    product = llvm::SaturatingMultiply<uint64_t>(product, size);
  return std::min<uint64_t>(product, std::numeric_limits<int64_t>::max());
}

static bool isStrided(Type type) {
  auto buffer = dyn_cast<MemRefType>(type);
  return buffer && buffer.isStrided();
}

static bool isBuffer(Value value) { return isa<BaseMemRefType>(value.getType()); }

LogicalResult peer::checkForm(Check &check, ValueRange operands) {
  return check.require(0, llvm::all_of(operands, isBuffer) || llvm::none_of(operands, isBuffer),
                       "expected either tensors or buffers, got both");
}

LogicalResult peer::finishInference(Check &check, ValueRange operands, ValueRange outs, ArrayRef<Type> computed,
                                    SmallVectorImpl<Type> &types, unsigned tied) {
  if (failed(checkForm(check, operands)))
    return failure();
  bool buffers = isBuffer(operands.front());
  size_t wanted = computed.size() - tied;
  if (outs.size() != wanted && (buffers || !outs.empty()))
    return check.fail(0, "expected " + Twine(wanted) + " destinations, got " + Twine(outs.size()));
  if (!buffers)
    types.append(computed.begin(), computed.end());
  for (auto [i, out] : llvm::enumerate(outs)) {
    if (!areCompatibleTypes(computed[i], asTensor(out.getType()))) {
      std::string text;
      llvm::raw_string_ostream(text) << computed[i] << ", got " << asTensor(out.getType());
      return check.fail(0, "expected a destination for " + text);
    }
    if (!buffers)
      types[i] = out.getType();
  }
  return success();
}

LogicalResult peer::checkOperands(std::optional<Location> loc, StringRef op, ValueRange operands, unsigned atLeast) {
  if (operands.size() < atLeast)
    return emitOptionalError(loc, "'", op, "' op expected ", atLeast, " or more operands, but found ", operands.size());
  for (auto [i, value] : llvm::enumerate(operands))
    if (!isa<RankedTensorType>(value.getType()) && !isStrided(value.getType()))
      return emitOptionalError(loc, "'", op, "' op operand #", i,
                               " must be a ranked tensor or strided buffer, but got ", value.getType());
  return success();
}

RankedTensorType peer::asTensor(Type type) {
  auto shaped = cast<ShapedType>(type);
  return RankedTensorType::get(shaped.getShape(), shaped.getElementType());
}
