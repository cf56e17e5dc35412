//===- NN.cpp - constraints and index notation of the nn ops -------------===//

#include "dialect/ops/Stored.h"

using namespace mlir;
using namespace peer;

/// Checks several operands under C1: {name, value, pattern}.
struct Operand {
  StringRef name;
  Value value;
  StringRef pattern;
};
static LogicalResult checkF32(Check &check, ArrayRef<Operand> operands) {
  for (const Operand &o : operands)
    if (failed(check.shape(1, o.name, o.value, o.pattern, Elements::F32)))
      return failure();
  return success();
}

#define FINISH(...)                                                                                                    \
  auto f32 = Float32Type::get(context);                                                                                \
  (void)f32;                                                                                                           \
  return finishInference(check, a.getOperands(), a.getOuts(), {__VA_ARGS__}, types)

//===----------------------------------------------------------------------===//
// linear and reshape
//===----------------------------------------------------------------------===//

PEER_INFER(LinearOp) {
  Check check(loc, "linear");
  auto x = cast<ShapedType>(a.getX().getType()), w = cast<ShapedType>(a.getWeight().getType());
  if (failed(check.require(1, x.getRank() == 2 && w.getRank() == 2, "expected x and weight of rank 2")) ||
      failed(check.require(2, x.getElementType().isF32() && w.getElementType().isF32(),
                           "expected x and weight to be f32")))
    return failure();
  if (std::optional<Type> products = a.getProducts(); products && !products->isBF16()) {
    std::string got;
    llvm::raw_string_ostream(got) << *products;
    return check.fail(4, "expected products = bf16, or nothing for f32, got " + got);
  }
  int64_t rows = x.getDimSize(a.getTransposeX()), inner = x.getDimSize(!a.getTransposeX());
  int64_t innerW = w.getDimSize(a.getTransposeWeight()), columns = w.getDimSize(!a.getTransposeWeight());
  if (!ShapedType::isDynamic(inner) && !ShapedType::isDynamic(innerW) && inner != innerW)
    return check.fail(1, "expected equal inner dimensions, got " + Twine(inner) + " and " + Twine(innerW));
  if (Value bias = a.getBias()) {
    auto type = cast<ShapedType>(bias.getType());
    if (failed(check.require(3, type.getElementType().isF32() && type.getShape() == ArrayRef(columns),
                             "expected a bias of " + Twine(columns) + " x f32, one for each column")))
      return failure();
  }
  FINISH(RankedTensorType::get({rows, columns}, f32));
}

std::string LinearOp::getIndexNotation() {
  return std::string(getTransposeX() ? "K t, " : "t K, ") + (getTransposeWeight() ? "j K" : "K j") +
         (getBias() ? ", j" : "") + " -> t j";
}

int64_t LinearOp::getFlopsPerIteration() { return 2; }

PEER_INFER(QuantizedLinearOp) {
  Check check(loc, "quantized_linear");
  if (failed(check.shape({1, 2, 1}, "x", a.getX(), "T I", Elements::F32)) ||
      failed(checkStored(check, {1, 2, 1}, 4, "weight", a.getWeight(), a.getScales(), "O", 'I')) ||
      (a.getBias() && failed(check.shape(3, "the bias", a.getBias(), "O", Elements::F32))))
    return failure();
  FINISH(check.tensor("T O", f32));
}

std::string QuantizedLinearOp::getIndexNotation() {
  bool grouped = cast<ShapedType>(getScales().getType()).getRank() == 2;
  return std::string("t ., j ., j") + (grouped ? " ." : "") + (getBias() ? ", j" : "") + " -> t j";
}

int64_t QuantizedLinearOp::getFlopsPerIteration() { return productOf({2, dimOf(getX(), 1)}); }

PEER_INFER(ReshapeOp) {
  Check check(loc, "reshape");
  auto from = cast<ShapedType>(a.getX().getType());
  auto to = cast<RankedTensorType>(a.getType());
  auto onlyFirstDynamic = [](ShapedType type) {
    return type.getRank() >= 1 && llvm::none_of(type.getShape().drop_front(), ShapedType::isDynamic);
  };
  if (failed(check.require(1,
                           onlyFirstDynamic(from) && onlyFirstDynamic(to) && from.isDynamicDim(0) == to.isDynamicDim(0),
                           "expected both shapes static, or both dynamic in the first dimension alone")) ||
      failed(check.require(2, from.getElementType() == to.getElementType(), "expected equal element types")))
    return failure();
  bool fits = false;
  if (from.hasStaticShape()) {
    fits = productOf(from.getShape()) == productOf(to.getShape());
  } else {
    int64_t a = restOf(from), b = restOf(to);
    fits = a > 0 && b > 0 && (a % b == 0 || b % a == 0);
  }
  auto elements = [&](ShapedType type) { return from.hasStaticShape() ? productOf(type.getShape()) : restOf(type); };
  if (!fits)
    return check.fail(2, "expected as many elements on both sides, got " + Twine(elements(from)) + " and " +
                             Twine(elements(to)) + (from.hasStaticShape() ? "" : " per row"));
  FINISH(to);
}

std::string ReshapeOp::getIndexNotation() {
  auto from = cast<ShapedType>(getX().getType()), to = cast<ShapedType>(getType());
  int64_t a = restOf(from), b = restOf(to);
  auto dims = [](ShapedType type, int64_t scale) {
    std::string text = scale == 1 ? "T" : "T*" + std::to_string(scale);
    for (int64_t i = 1; i < type.getRank(); ++i)
      text += " .";
    return text;
  };
  // A static reshape may change the first dimension by any ratio; nothing there needs a loop.
  if (from.hasStaticShape() && !(a && b && (a % b == 0 || b % a == 0)))
    return "";
  return dims(from, a < b ? b / a : 1) + " -> " + dims(to, a < b ? 1 : a / b);
}

//===----------------------------------------------------------------------===//
// embedding
//===----------------------------------------------------------------------===//

PEER_INFER(EmbeddingOp) {
  Check check(loc, "embedding");
  // Numbers of a stored table, whose scales are another's rows.
  bool isStored = cast<ShapedType>(a.getTable().getType()).getElementType().isInteger(8);
  if (failed(check.shape(1, "tokens", a.getTokens(), "T", Elements::I32)) ||
      failed(check.shape(1, "table", a.getTable(), "V D", isStored ? Elements::I8 : Elements::F32OrBF16)))
    return failure();
  FINISH(check.tensor("T D", f32));
}
std::string EmbeddingOp::getIndexNotation() { return "t, . . -> t ."; }

PEER_INFER(EmbeddingGradOp) {
  Check check(loc, "embedding_grad");
  if (failed(check.shape(1, "tokens", a.getTokens(), "T", Elements::I32)) ||
      failed(check.shape(1, "dy", a.getDy(), "T D", Elements::F32)))
    return failure();
  if (int64_t(a.getRows()) < 1)
    return check.fail(2, "expected at least 1 row, got " + Twine(int64_t(a.getRows())));
  check.bind('V', a.getRows());
  FINISH(check.tensor("V D", f32));
}
std::string EmbeddingGradOp::getIndexNotation() { return "T, T d -> . d"; }

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

PEER_INFER(RMSNormOp) {
  Check check(loc, "rms_norm");
  if (failed(checkF32(check, {{"x", a.getX(), "T D"}, {"weight", a.getWeight(), "D"}})) ||
      failed(check.epsilon(2, a.getEpsilon())))
    return failure();
  FINISH(check.tensor("T D", f32));
}
std::string RMSNormOp::getIndexNotation() { return "t ., . -> t ."; }

PEER_INFER(RMSNormGradOp) {
  Check check(loc, "rms_norm_grad");
  if (failed(checkF32(check, {{"x", a.getX(), "T D"}, {"weight", a.getWeight(), "D"}, {"dy", a.getDy(), "T D"}})) ||
      failed(check.epsilon(2, a.getEpsilon())))
    return failure();
  FINISH(check.tensor("T D", f32), check.tensor("T", f32));
}
std::string RMSNormGradOp::getIndexNotation() { return "t ., ., t . -> t ., t"; }

PEER_INFER(RMSNormWeightGradOp) {
  Check check(loc, "rms_norm_weight_grad");
  if (failed(checkF32(check, {{"x", a.getX(), "T D"}, {"rstd", a.getRstd(), "T"}, {"dy", a.getDy(), "T D"}})))
    return failure();
  FINISH(check.tensor("D", f32));
}
std::string RMSNormWeightGradOp::getIndexNotation() { return "T d, T, T d -> d"; }

PEER_INFER(LayerNormOp) {
  Check check(loc, "layer_norm");
  if (failed(checkF32(check, {{"x", a.getX(), "T D"}, {"weight", a.getWeight(), "D"}, {"bias", a.getBias(), "D"}})) ||
      failed(check.epsilon(2, a.getEpsilon())))
    return failure();
  FINISH(check.tensor("T D", f32));
}
std::string LayerNormOp::getIndexNotation() { return "t ., ., . -> t ."; }

PEER_INFER(LayerNormGradOp) {
  Check check(loc, "layer_norm_grad");
  if (failed(checkF32(check, {{"x", a.getX(), "T D"}, {"weight", a.getWeight(), "D"}, {"dy", a.getDy(), "T D"}})) ||
      failed(check.epsilon(2, a.getEpsilon())))
    return failure();
  FINISH(check.tensor("T D", f32), check.tensor("T", f32), check.tensor("T", f32));
}
std::string LayerNormGradOp::getIndexNotation() { return "t ., ., t . -> t ., t, t"; }

PEER_INFER(LayerNormWeightGradOp) {
  Check check(loc, "layer_norm_weight_grad");
  if (failed(checkF32(
          check,
          {{"x", a.getX(), "T D"}, {"mean", a.getMean(), "T"}, {"rstd", a.getRstd(), "T"}, {"dy", a.getDy(), "T D"}})))
    return failure();
  FINISH(check.tensor("D", f32), check.tensor("D", f32));
}
std::string LayerNormWeightGradOp::getIndexNotation() { return "T d, T, T, T d -> d, d"; }

PEER_INFER(BatchNormOp) {
  Check check(loc, "batch_norm");
  double momentum = a.getMomentum().convertToDouble();
  SmallString<16> given;
  a.getMomentum().toString(given);
  if (failed(checkF32(check, {{"x", a.getX(), "R C"},
                              {"weight", a.getWeight(), "C"},
                              {"bias", a.getBias(), "C"},
                              {"mean", a.getMean(), "C"},
                              {"variance", a.getVariance(), "C"}})) ||
      failed(check.epsilon(2, a.getEpsilon())) ||
      failed(check.require(3, momentum >= 0 && momentum <= 1, "expected a momentum in [0, 1], got " + given)))
    return failure();
  FINISH(check.tensor("R C", f32));
}
std::string BatchNormOp::getIndexNotation() { return "r c, c, c, c, c -> r c"; }

PEER_INFER(BatchStatsOp) {
  Check check(loc, "batch_stats");
  if (failed(checkF32(check, {{"x", a.getX(), "R C"}})))
    return failure();
  FINISH(check.tensor("C", f32), check.tensor("C", f32));
}
std::string BatchStatsOp::getIndexNotation() { return "R c -> c, c"; }

PEER_INFER(BatchNormWeightGradOp) {
  Check check(loc, "batch_norm_weight_grad");
  if (failed(checkF32(check, {{"x", a.getX(), "R C"},
                              {"mean", a.getMean(), "C"},
                              {"variance", a.getVariance(), "C"},
                              {"dy", a.getDy(), "R C"}})) ||
      failed(check.epsilon(2, a.getEpsilon())))
    return failure();
  FINISH(check.tensor("C", f32), check.tensor("C", f32));
}
std::string BatchNormWeightGradOp::getIndexNotation() { return "R c, c, c, R c -> c, c"; }

PEER_INFER(BatchNormGradOp) {
  Check check(loc, "batch_norm_grad");
  if (failed(checkF32(check, {{"x", a.getX(), "R C"},
                              {"weight", a.getWeight(), "C"},
                              {"mean", a.getMean(), "C"},
                              {"variance", a.getVariance(), "C"},
                              {"dy", a.getDy(), "R C"},
                              {"dweight", a.getDweight(), "C"},
                              {"dbias", a.getDbias(), "C"}})) ||
      failed(check.epsilon(2, a.getEpsilon())))
    return failure();
  FINISH(check.tensor("R C", f32));
}
std::string BatchNormGradOp::getIndexNotation() { return "R c, c, c, c, R c, c, c -> R c"; }

//===----------------------------------------------------------------------===//
// Activation and loss
//===----------------------------------------------------------------------===//

PEER_INFER(ActivationOp) {
  Check check(loc, "activation");
  if (failed(checkF32(check, {{"x", a.getX(), "T D"}})))
    return failure();
  FINISH(check.tensor("T D", f32));
}
std::string ActivationOp::getIndexNotation() { return "t . -> t ."; }

PEER_INFER(ActivationGradOp) {
  Check check(loc, "activation_grad");
  if (failed(checkF32(check, {{"x", a.getX(), "T D"}, {"dy", a.getDy(), "T D"}})))
    return failure();
  FINISH(check.tensor("T D", f32));
}
std::string ActivationGradOp::getIndexNotation() { return "t ., t . -> t ."; }

PEER_INFER(CrossEntropyOp) {
  Check check(loc, "cross_entropy");
  if (failed(checkF32(check, {{"logits", a.getLogits(), "T V"}})) ||
      failed(check.shape(1, "targets", a.getTargets(), "T", Elements::I32)))
    return failure();
  FINISH(check.tensor("T", f32));
}
std::string CrossEntropyOp::getIndexNotation() { return "t ., t -> t"; }

PEER_INFER(CrossEntropyGradOp) {
  Check check(loc, "cross_entropy_grad");
  if (failed(checkF32(check, {{"logits", a.getLogits(), "T V"}, {"dloss", a.getDloss(), "T"}})) ||
      failed(check.shape(1, "targets", a.getTargets(), "T", Elements::I32)))
    return failure();
  FINISH(check.tensor("T V", f32));
}
std::string CrossEntropyGradOp::getIndexNotation() { return "t ., t, t -> t ."; }

PEER_INFER(ColumnSumsOp) {
  Check check(loc, "column_sums");
  if (failed(checkF32(check, {{"x", a.getX(), "T D"}})))
    return failure();
  FINISH(check.tensor("D", f32));
}
std::string ColumnSumsOp::getIndexNotation() { return "T d -> d"; }

PEER_INFER(MeanOp) {
  Check check(loc, "mean");
  if (failed(checkF32(check, {{"x", a.getX(), "T"}})))
    return failure();
  FINISH(check.tensor("", f32));
}
std::string MeanOp::getIndexNotation() { return "T -> "; }

PEER_INFER(MeanGradOp) {
  Check check(loc, "mean_grad");
  if (failed(checkF32(check, {{"x", a.getX(), "T"}, {"dmean", a.getDmean(), ""}})))
    return failure();
  FINISH(check.tensor("T", f32));
}
std::string MeanGradOp::getIndexNotation() { return "T, -> T"; }
