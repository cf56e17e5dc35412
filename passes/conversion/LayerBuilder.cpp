//===- LayerBuilder.cpp - the ops of a routed layer -----------------------===//

#include "LayerBuilder.h"

#include "passes/Entries.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace peer;

std::string LayerBuilder::nameOf(StringRef name) const { return joinNames(prefix, name); }

Value LayerBuilder::param(StringRef name, ArrayRef<int64_t> shape, InitAttr init, StringRef group) {
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  return ParamOp::create(builder, loc, type, nameOf(name), init, group, /*buffer=*/false).getResult();
}

Value LayerBuilder::normal(StringRef name, ArrayRef<int64_t> shape, double std, StringRef group) {
  auto init =
      InitAttr::get(builder.getContext(), InitKind::Normal, builder.getF64FloatAttr(0), builder.getF64FloatAttr(std));
  return param(name, shape, init, group);
}

Value LayerBuilder::linear(Value x, Value weight) {
  return LinearOp::create(builder, loc, x, weight, /*bias=*/Value(), /*transpose_x=*/false, /*transpose_weight=*/false,
                          /*products=*/TypeAttr(), ValueRange())
      .getY();
}

Value LayerBuilder::reshape(Value x, ArrayRef<int64_t> shape) {
  auto before = cast<RankedTensorType>(x.getType());
  SmallVector<int64_t> sizes{before.getDimSize(0)};
  llvm::append_range(sizes, shape);
  return ReshapeOp::create(builder, loc, x, before.clone(sizes), ValueRange()).getY();
}

Value LayerBuilder::score(Value query, Value keys) {
  return ScoreOp::create(builder, loc, query, keys, ValueRange()).getLogits();
}

std::pair<Value, Value> LayerBuilder::select(Value scores, Attribute policy) {
  auto op = SelectOp::create(builder, loc, scores, /*threshold=*/Value(), cast<SelectPolicyAttrInterface>(policy),
                             ValueRange());
  return {op.getIdx(), op.getVal()};
}

std::pair<Value, Value> LayerBuilder::route(Value x, int64_t experts, int64_t k, double std) {
  int64_t width = cast<RankedTensorType>(x.getType()).getDimSize(1);
  Value router = normal("router", {1, 1, experts, width}, std);
  return select(score(reshape(x, {1, 1, width}), router), TopKPolicyAttr::get(builder.getContext(), k));
}

Value LayerBuilder::gate(Value val, GateKind kind) {
  return GateOp::create(builder, loc, val, kind, ValueRange()).getWeights();
}

Value LayerBuilder::mix(Value x, Value idx, Value weights, Value pool, Activation activation, int64_t rows) {
  return MixOp::create(builder, loc, x, idx, weights, pool, ActivationAttr::get(builder.getContext(), activation), rows,
                       ValueRange())
      .getY();
}

Value LayerBuilder::add(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
