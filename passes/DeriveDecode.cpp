//===- DeriveDecode.cpp - prefill and decode from a forward function -----===//

#include "Entries.h"
#include "Passes.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DERIVEDECODE
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// A cached pair of keys and values: the arguments and what replaces them.
struct Cache {
  BlockArgument keys, values;
  std::string name;
  Value newKeys, newValues;
};

/// Copies a forward function into an entry that continues a sequence.
class DecodeBuilder {
public:
  DecodeBuilder(DecodeOp request, func::FuncOp forward) : request(request), forward(forward) {}

  /// Builds the entry `name`; `tokens` is the count of tokens of one call, or dynamic.
  LogicalResult build(StringRef name, StringRef kind, int64_t tokens);

private:
  void addArguments(EntryBuilder &entry, int64_t tokens);
  LogicalResult copyOp(EntryBuilder &entry, Operation *op);
  LogicalResult retype(EntryBuilder &entry, Operation *op);

  DecodeOp request;
  func::FuncOp forward;
  IRMapping mapping;
  Value position;
  SmallVector<Cache> caches;
  unsigned nextCache = 0;
};

/// Whether row t of the results depends on row t of the operands alone.
bool keepsTokensApart(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return !linear.getTransposeX();
  if (auto norm = dyn_cast<BatchNormOp>(op))
    return !norm.getBatchStatistics();
  return isa<ScoreOp, SelectOp, GateOp, MixOp, QuantizedMixOp, ReshapeOp, EmbeddingOp, RMSNormOp, LayerNormOp,
             ActivationOp, CrossEntropyOp>(op) ||
         op->hasTrait<OpTrait::Elementwise>() || op->hasTrait<OpTrait::ConstantLike>();
}

/// One input of tokens, one output: what a decoder is.
LogicalResult checkForward(DecodeOp request, func::FuncOp forward) {
  for (unsigned i = 0; i < forward.getNumArguments(); ++i)
    if (i > 0 && !getParameter(forward, i))
      return request.emitOpError() << "wants tokens as the one input of @" << forward.getName()
                                   << ", but it also takes '" << getArgumentName(forward, i) << "'";
  return success();
}

void DecodeBuilder::addArguments(EntryBuilder &entry, int64_t tokens) {
  Location loc = request.getLoc();
  Builder builder(request);
  Block &body = forward.getBody().front();
  auto tokensType = RankedTensorType::get({tokens}, builder.getI32Type());
  mapping.map(body.getArgument(0), entry.addArgument(tokensType, body.getArgument(0).getLoc(), "tokens", role::kInput));
  position = entry.addArgument(RankedTensorType::get({}, builder.getI32Type()), loc, "position", role::kScalar);
  for (unsigned i = 1; i < forward.getNumArguments(); ++i)
    mapping.map(body.getArgument(i), entry.addArgumentLike(forward, i));
  for (AttentionOp attention : body.getOps<AttentionOp>()) {
    int64_t width = cast<ShapedType>(attention.getKey().getType()).getDimSize(1);
    auto type = RankedTensorType::get({int64_t(attention.getContextLength()), width}, builder.getF32Type());
    std::string name = "cache." + std::to_string(caches.size());
    BlockArgument keys = entry.addArgument(type, attention.getLoc(), name + ".key", role::kState);
    BlockArgument values = entry.addArgument(type, attention.getLoc(), name + ".value", role::kState);
    caches.push_back({keys, values, name, keys, values});
  }
}

LogicalResult DecodeBuilder::copyOp(EntryBuilder &entry, Operation *op) {
  OpBuilder &builder = entry.builder;
  auto mapped = [&](Value value) { return mapping.lookup(value); };
  if (auto rotary = dyn_cast<RotaryOp>(op); rotary && !rotary.getInverse()) {
    auto moved = RotaryAtOp::create(builder, op->getLoc(), mapped(rotary.getX()), position, rotary.getHeadsAttr(),
                                    rotary.getBaseAttr(), ValueRange());
    mapping.map(op->getResults(), moved->getResults());
    return success();
  }
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    Cache &cache = caches[nextCache++];
    auto cached = CachedAttentionOp::create(builder, op->getLoc(), mapped(attention.getQuery()),
                                            mapped(attention.getKey()), mapped(attention.getValue()), cache.keys,
                                            cache.values, position, attention.getHeadsAttr(), ValueRange());
    mapping.map(attention.getResult(0), cached.getResult(0));
    cache.newKeys = cached.getResult(1);
    cache.newValues = cached.getResult(2);
    return success();
  }
  if (!keepsTokensApart(op)) {
    InFlightDiagnostic diag = op->emitError() << "op '" << op->getName() << "' may mix tokens, so @"
                                              << forward.getName() << " cannot be decoded one token at a time";
    diag.attachNote(request.getLoc()) << "decoding was asked for here";
    return diag;
  }
  return retype(entry, op);
}

LogicalResult DecodeBuilder::retype(EntryBuilder &entry, Operation *op) {
  Operation *copy = entry.builder.clone(*op, mapping);
  if (copy->hasTrait<OpTrait::ConstantLike>())
    return success();
  if (auto reshape = dyn_cast<ReshapeOp>(copy)) {
    // The rows of the result follow from those of the operand.
    auto from = cast<RankedTensorType>(reshape.getX().getType());
    auto to = cast<RankedTensorType>(reshape.getType());
    int64_t row = 1;
    for (int64_t size : to.getShape().drop_front())
      row *= size;
    if (from.hasStaticShape() && (row == 0 || from.getNumElements() % row != 0))
      return op->emitOpError() << "joins rows of several tokens, so @" << forward.getName()
                               << " cannot be decoded one token at a time";
    SmallVector<int64_t> shape(to.getShape());
    shape[0] = from.hasStaticShape() ? from.getNumElements() / row : ShapedType::kDynamic;
    reshape.setType(RankedTensorType::get(shape, to.getElementType()));
  }
  auto inferring = dyn_cast<InferTypeOpInterface>(copy);
  if (!inferring)
    return op->emitError() << "op '" << op->getName() << "' does not infer its result types, so @" << forward.getName()
                           << " cannot be rebuilt for one token";
  SmallVector<Type> types;
  if (failed(inferring.inferReturnTypes(copy->getContext(), copy->getLoc(), copy->getOperands(),
                                        copy->getDiscardableAttrDictionary(), copy->getPropertiesStorage(),
                                        copy->getRegions(), types)))
    return failure();
  for (auto [result, type] : llvm::zip_equal(copy->getResults(), types))
    result.setType(type);
  return success();
}

LogicalResult DecodeBuilder::build(StringRef name, StringRef kind, int64_t tokens) {
  EntryBuilder entry(request, name, kind, forward.getName());
  addArguments(entry, tokens);
  int64_t context = 0;
  for (Operation &op : forward.getBody().front().without_terminator()) {
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      int64_t length = attention.getContextLength();
      context = context ? std::min(context, length) : length;
    }
    if (failed(copyOp(entry, &op)))
      return failure();
  }
  entry.addResult(mapping.lookup(forward.getBody().front().getTerminator()->getOperand(0)), "logits");
  for (Cache &cache : caches) {
    entry.addResult(cache.newKeys, cache.name + ".key", cache.keys);
    entry.addResult(cache.newValues, cache.name + ".value", cache.values);
  }
  FailureOr<func::FuncOp> function = entry.finish();
  if (failed(function))
    return failure();
  // A longer prompt would overwrite keys that its own tokens still attend to.
  if (context && ShapedType::isDynamic(tokens))
    (*function)->setAttr(attrs::kMaxTokens, Builder(request).getI64IntegerAttr(context));
  return success();
}

struct DeriveDecodePass : peer::impl::DeriveDecodeBase<DeriveDecodePass> {
  void runOnOperation() override {
    for (DecodeOp request : llvm::make_early_inc_range(getOperation().getOps<DecodeOp>())) {
      FailureOr<func::FuncOp> forward = findRequestedFunction(request, request.getFunctionAttr());
      if (failed(forward) || failed(checkForward(request, *forward)) ||
          failed(DecodeBuilder(request, *forward).build(request.getPrefill(), kind::kPrefill, ShapedType::kDynamic)) ||
          failed(DecodeBuilder(request, *forward).build(request.getSymName(), kind::kDecode, 1)))
        return signalPassFailure();
      request.erase();
      eraseIfUnused(*forward);
    }
  }
};

} // namespace
