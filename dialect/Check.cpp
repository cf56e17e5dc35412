//===- Check.cpp - numbered constraints of ops ---------------------------===//

#include "Check.h"

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
  static const char *names[] = {" f32", " f32 or bf16", " i32"};
  return text + names[int(elements)];
}

static bool accepts(Elements elements, Type type) {
  if (elements == Elements::I32)
    return type.isSignlessInteger(32);
  return type.isF32() || (elements == Elements::F32OrBF16 && type.isBF16());
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

LogicalResult peer::finishInference(ValueRange inputs, ValueRange outs, ArrayRef<Type> computed,
                                    SmallVectorImpl<Type> &types) {
  if (llvm::any_of(inputs.getTypes(), llvm::IsaPred<BaseMemRefType>))
    return success();
  types.append(computed.begin(), computed.end());
  for (auto [i, out] : llvm::enumerate(outs))
    if (i < types.size())
      types[i] = out.getType();
  return success();
}

RankedTensorType peer::asTensor(Type type) {
  auto shaped = cast<ShapedType>(type);
  return RankedTensorType::get(shaped.getShape(), shaped.getElementType());
}
