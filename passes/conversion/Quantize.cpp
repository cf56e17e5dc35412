//===- Quantize.cpp - weights in fewer bits, for inference ----------------===//

#include "Conversions.h"
#include "ParameterNames.h"
#include "Plan.h"

#include "dialect/ops/Stored.h"
#include "passes/Entries.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_QUANTIZE
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

namespace {

/// What reads a weight that can be stored otherwise, and as which operand.
struct Reader {
  static std::optional<Reader> of(OpOperand &use);

  Operation *op;
  /// A matrix whose vectors are its columns, as what is stored has a row for each output.
  bool isColumns;
  /// The word of `tables` for such weights.
  StringRef kind;
};

std::optional<Reader> Reader::of(OpOperand &use) {
  Operation *op = use.getOwner();
  if (auto mix = dyn_cast<MixOp>(op); mix && &use == &mix.getPoolMutable())
    return Reader{op, false, "experts"};
  if (auto embedding = dyn_cast<EmbeddingOp>(op); embedding && &use == &embedding.getTableMutable())
    return Reader{op, false, "embeddings"};
  if (auto linear = dyn_cast<LinearOp>(op); linear && &use == &linear.getWeightMutable() && !linear.getTransposeX())
    return Reader{op, !linear.getTransposeWeight(), "dense"};
  return std::nullopt;
}

struct QuantizePass : peer::impl::QuantizeBase<QuantizePass> {
  using QuantizeBase::QuantizeBase;
  void runOnOperation() override;

private:
  LogicalResult checkOptions();
  bool isWanted(const Reader &reader) const { return tables == "all" || tables == reader.kind; }
  /// The readers of a parameter, if all of them can read what is stored, and alike.
  std::optional<SmallVector<Reader>> readersOf(ParamOp param) const;
  FailureOr<SmallVector<ParamOp>> chooseParams();
  LogicalResult convert(ParamOp param, Plan &weights);
  LogicalResult dropTraining();
  LogicalResult run();

  std::optional<ParameterNames> names;
  llvm::StringSet<> reported;
};

LogicalResult QuantizePass::checkOptions() {
  auto loc = getOperation().getLoc();
  if (bits != 8 && bits != 4)
    return emitError(loc) << "expected bits of 8 or 4, got " << int64_t(bits);
  if (format != "int" && format != "fp8")
    return emitError(loc) << "expected format to be int or fp8, got '" << std::string(format) << "'";
  if (format == "fp8" && bits != 8)
    return emitError(loc) << "expected bits of 8 where format is fp8, got " << int64_t(bits);
  if (group < 0 || group % kStoredBlock)
    return emitError(loc) << "expected group to be a multiple of 32, got " << int64_t(group);
  if (!llvm::is_contained({"all", "experts", "dense", "embeddings"}, StringRef(tables)))
    return emitError(loc) << "expected tables to be all, experts, dense or embeddings, got '" << std::string(tables)
                          << "'";
  return success();
}

std::optional<SmallVector<Reader>> QuantizePass::readersOf(ParamOp param) const {
  Type element = param.getType().getElementType();
  if (param.getBuffer() || !(element.isF32() || element.isBF16()))
    return std::nullopt;
  SmallVector<Reader> readers;
  for (OpOperand &use : param.getResult().getUses()) {
    std::optional<Reader> reader = Reader::of(use);
    if (!reader || !isWanted(*reader) || (!readers.empty() && readers[0].isColumns != reader->isColumns))
      return std::nullopt;
    readers.push_back(*reader);
  }
  if (readers.empty())
    return std::nullopt;
  return readers;
}

/// Those that are meant and can be converted wherever they are declared: what an op that is not meant reads, too, stays as it is.
FailureOr<SmallVector<ParamOp>> QuantizePass::chooseParams() {
  SmallVector<std::string> chosen(layers.begin(), layers.end());
  llvm::SetVector<ParamOp> candidates;
  LogicalResult result = success();
  getOperation().walk([&](ParamOp param) {
    ArrayRef<std::string> all = names->of(param);
    auto meant = llvm::count_if(all, [&](StringRef name) { return isInLayers(name, chosen); });
    if (!meant || !readersOf(param))
      return;
    if (size_t(meant) != all.size()) {
      result = param.emitError() << "some of the layers that this block describes are to be converted, and others are "
                                    "not: expected all of them, or a block of its own for each kind";
    } else {
      candidates.insert(param);
    }
  });
  if (failed(result))
    return failure();
  auto sameEverywhere = [&](ParamOp param) {
    return llvm::all_of(names->of(param), [&](StringRef name) {
      return llvm::all_of(names->uses(name), [&](ParamOp other) {
        return candidates.contains(other) && other.getType() == param.getType() &&
               readersOf(other)->front().isColumns == readersOf(param)->front().isColumns;
      });
    });
  };
  while (candidates.remove_if([&](ParamOp param) { return !sameEverywhere(param); }))
    ;
  if (candidates.empty())
    return emitError(getOperation().getLoc()) << "the model has no weight " << (chosen.empty() ? "" : "of these names ")
                                              << "that can be stored in fewer bits: expected a parameter that only "
                                                 "peer.mix, peer.linear and peer.embedding "
                                                 "read, as a pool, a weight or a table";
  return SmallVector<ParamOp>(candidates.begin(), candidates.end());
}

/// Rows of a stored table: their numbers times their scales, which are rows of another. In 8 bits, which an embedding widens as it reads.
static Value embed(EmbeddingOp embedding, Value table, Value scales) {
  OpBuilder b(embedding);
  Location loc = embedding.getLoc();
  Value tokens = embedding.getTokens();
  auto type = cast<RankedTensorType>(embedding.getY().getType());
  int64_t count = type.getDimSize(0), width = type.getDimSize(1);
  auto scaleType = cast<RankedTensorType>(scales.getType());
  int64_t groups = scaleType.getRank() == 2 ? scaleType.getDimSize(1) : 1;
  auto reshape = [&](Value of, ArrayRef<int64_t> shape) -> Value {
    return ReshapeOp::create(b, loc, of, RankedTensorType::get(shape, b.getF32Type()), ValueRange()).getY();
  };
  Value numbers = EmbeddingOp::create(b, loc, tokens, table, ValueRange()).getY();
  if (scaleType.getRank() == 1)
    scales = reshape(scales, {scaleType.getDimSize(0), 1});
  Value factors = EmbeddingOp::create(b, loc, tokens, scales, ValueRange()).getY();
  if (groups == 1)
    factors = reshape(factors, {count});
  else
    numbers = reshape(numbers, {count, groups, width / groups});
  factors = BroadcastOp::create(b, loc, factors, numbers, ArrayRef<int64_t>{groups == 1 ? 1 : 2}, ValueRange()).getY();
  Value y = arith::MulFOp::create(b, loc, numbers, factors);
  return groups == 1 ? y : reshape(y, {count, width});
}

LogicalResult QuantizePass::convert(ParamOp param, Plan &weights) {
  SmallVector<Reader> readers = *readersOf(param);
  bool isColumns = readers.front().isColumns;
  bool isEmbedded = llvm::any_of(readers, [](const Reader &reader) { return isa<EmbeddingOp>(reader.op); });
  bool isRounded = llvm::any_of(readers, [](const Reader &reader) {
    auto linear = dyn_cast<LinearOp>(reader.op);
    return linear && linear.getProducts();
  });
  int64_t bits = isEmbedded ? 8 : int64_t(this->bits);
  bool isFP8 = format == "fp8" && !isEmbedded;
  SmallVector<int64_t> stored(param.getType().getShape());
  if (isColumns)
    std::swap(stored[0], stored[1]);
  int64_t width = stored.back(), elements = group ? int64_t(group) : bits == 4 ? kStoredBlock : 0;
  if ((bits == 4 && width % kStoredBlock) || (elements && width % elements))
    return param.emitError() << "expected vectors that are whole multiples of " << (elements ? elements : kStoredBlock)
                             << " elements, got those of \"" << param.getName() << "\" with " << width
                             << "; other layers are named with layers";
  SmallVector<int64_t> scales(ArrayRef(stored).drop_back());
  if (elements)
    scales.push_back(width / elements);
  if (bits == 4)
    stored.back() /= 2;

  std::string scaleName = param.getName().str() + ".scale";
  for (StringRef name : names->of(param)) {
    std::string scale = name.str() + ".scale";
    if (!names->uses(scale).empty())
      return param.emitError() << "the model has a parameter \"" << scale << "\" already";
    auto before = weights::tensor(name);
    if (isColumns)
      before = weights::transpose(std::move(before), {1, 0});
    weights::Expression as = isFP8 ? weights::Expression("fp8") : weights::Expression(bits);
    if (failed(weights.set(name, weights::quantize(before, as, elements), param.getLoc())) ||
        failed(weights.set(scale, weights::scales(before, as, elements), param.getLoc())))
      return failure();
    // A table and a head that share it may declare it each.
    if (!reported.insert(name).second)
      continue;
    llvm::json::Object layer;
    layer["name"] = name;
    layer[isFP8 ? "fp8_bits" : "bits"] = bits;
    layer["elements_of_a_scale"] = elements ? elements : width;
    // Stored weights are multiplied by x as it is.
    if (isRounded) {
      layer["products_before"] = "bf16";
      layer["products"] = "f32";
    }
    weights.addLayer(std::move(layer));
  }

  OpBuilder b(param);
  auto zeros = InitAttr::get(b.getContext(), InitKind::Constant, b.getF64FloatAttr(0), b.getF64FloatAttr(0));
  auto declare = [&](StringRef name, ArrayRef<int64_t> shape, Type element) -> Value {
    return ParamOp::create(b, param.getLoc(), RankedTensorType::get(shape, element), name, zeros, "default",
                           /*buffer=*/false, /*frozen=*/true);
  };
  Type element = isFP8 ? Type(Float8E4M3FNType::get(b.getContext())) : b.getI8Type();
  Value table = declare(param.getName(), stored, element);
  Value scale = declare(scaleName, scales, b.getF32Type());
  for (const Reader &reader : readers) {
    b.setInsertionPoint(reader.op);
    Value y;
    if (auto mix = dyn_cast<MixOp>(reader.op))
      y = QuantizedMixOp::create(b, mix.getLoc(), mix.getX(), mix.getIdx(), mix.getWeights(), table, scale,
                                 mix.getActivationAttr(), mix.getRowsPerExpertAttr(), ValueRange())
              .getY();
    else if (auto embedding = dyn_cast<EmbeddingOp>(reader.op))
      y = embed(embedding, table, scale);
    else if (auto linear = dyn_cast<LinearOp>(reader.op))
      y = QuantizedLinearOp::create(b, linear.getLoc(), linear.getX(), table, scale, linear.getBias(), ValueRange())
              .getY();
    reader.op->replaceAllUsesWith(ValueRange{y});
    reader.op->erase();
  }
  param.erase();
  return success();
}

/// What is stored in few bits has no gradient. What was trained is still the loss.
LogicalResult QuantizePass::dropTraining() {
  SymbolTable symbols(getOperation());
  for (Operation &op : llvm::make_early_inc_range(getOperation().getOps())) {
    if (auto train = dyn_cast<TrainOp>(op)) {
      auto loss = symbols.lookup<func::FuncOp>(train.getFunction());
      if (!loss)
        return train.emitError() << "there is no function @" << train.getFunction();
      loss->setAttr(attrs::kKind, StringAttr::get(&getContext(), kind::kLoss));
      loss.setPublic();
    }
    if (isa<TrainOp, GradientOp, UpdateRowsOp>(op))
      op.erase();
  }
  return success();
}

LogicalResult QuantizePass::run() {
  if (failed(checkOptions()))
    return failure();
  FailureOr<ParameterNames> found = ParameterNames::find(getOperation());
  if (failed(found))
    return failure();
  names = std::move(*found);
  FailureOr<SmallVector<ParamOp>> params = chooseParams();
  if (failed(params))
    return failure();
  Plan weights("quantize");
  for (ParamOp param : *params)
    if (failed(convert(param, weights)))
      return failure();
  return failed(dropTraining()) ? failure() : weights.write(plan, getOperation().getLoc());
}

void QuantizePass::runOnOperation() {
  if (failed(run()))
    signalPassFailure();
}

} // namespace
