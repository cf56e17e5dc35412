//===- DeriveDecode.cpp - prefill and decode from a forward function -----===//

#include "Entries.h"
#include "Passes.h"
#include "passes/analysis/TokenFlow.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DERIVEDECODE
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// What an op keeps of earlier tokens: the argument and what replaces it.
struct Cache {
  BlockArgument argument;
  std::string name;
  Value updated;
};

/// Copies a forward function into an entry that continues a sequence.
class DecodeBuilder {
public:
  /// `tokens` is the count of tokens of one call, or dynamic; names of caches begin with `prefix`.
  DecodeBuilder(DecodeOp request, func::FuncOp forward, StringRef prefix, int64_t tokens)
      : request(request), forward(forward), prefix(prefix), tokensPerCall(tokens), flow(forward.getArgument(0)) {}

  LogicalResult build(StringRef name, StringRef kind);

private:
  void addArguments(EntryBuilder &entry);
  InFlightDiagnostic refuse(Operation *op, const Twine &why);
  LogicalResult checkContext(SequenceOpInterface op);
  LogicalResult continueSequence(OpBuilder &builder, SequenceOpInterface op);
  LogicalResult copyOp(EntryBuilder &entry, Operation *op);
  LogicalResult retype(EntryBuilder &entry, Operation *op);

  DecodeOp request;
  func::FuncOp forward;
  std::string prefix;
  int64_t tokensPerCall;
  TokenFlow flow;
  IRMapping mapping;
  Value position;
  SmallVector<Cache> caches;
  unsigned nextCache = 0;
  /// The first op on sequences, and the context it counts positions in.
  Operation *contextOf = nullptr;
  int64_t contextLength = 0;
};

/// One input of tokens, one output: what a decoder is.
LogicalResult checkForward(DecodeOp request, func::FuncOp forward) {
  for (unsigned i = 0; i < forward.getNumArguments(); ++i)
    if (i > 0 && !getParameter(forward, i))
      return request.emitOpError() << "wants tokens as the one input of @" << forward.getName()
                                   << ", but it also takes '" << getArgumentName(forward, i)
                                   << "'; what is the same for all tokens can be a parameter marked 'buffer'";
  return success();
}

void DecodeBuilder::addArguments(EntryBuilder &entry) {
  Location loc = request.getLoc();
  Builder builder(request);
  Block &body = forward.getBody().front();
  auto tokensType = RankedTensorType::get({tokensPerCall}, builder.getI32Type());
  mapping.map(body.getArgument(0), entry.addArgument(tokensType, body.getArgument(0).getLoc(), "tokens", role::kInput));
  position =
      entry.addArgument(RankedTensorType::get({}, builder.getI32Type()), loc, format::name::kPosition, role::kScalar);
  for (unsigned i = 1; i < forward.getNumArguments(); ++i)
    mapping.map(body.getArgument(i), entry.addArgumentLike(forward, i));
  unsigned number = 0; // of ops with caches
  for (SequenceOpInterface op : body.getOps<SequenceOpInterface>()) {
    auto wanted = op.getCaches();
    if (wanted.empty() || !flow.dependsOnTokens(op))
      continue;
    std::string first = prefix + "cache." + std::to_string(number++) + ".";
    for (auto [what, type] : wanted) {
      std::string name = first + what.str();
      BlockArgument argument = entry.addArgument(type, op.getLoc(), name, role::kState);
      caches.push_back({argument, name, argument});
    }
  }
}

InFlightDiagnostic DecodeBuilder::refuse(Operation *op, const Twine &why) {
  InFlightDiagnostic diag = op->emitError() << "op '" << op->getName() << "' " << why << ", so @" << forward.getName()
                                            << " cannot be decoded one token at a time";
  diag.attachNote(request.getLoc()) << "decoding was asked for here";
  return diag;
}

/// In the forward function, positions begin again with each context; a decoded sequence has one position.
LogicalResult DecodeBuilder::checkContext(SequenceOpInterface op) {
  int64_t context = op.getContextLength();
  if (!contextOf) {
    contextOf = op;
    contextLength = context;
  }
  if (context == contextLength)
    return success();
  InFlightDiagnostic diag =
      refuse(op, "has a context of " + Twine(context) + " beside another of " + Twine(contextLength));
  diag.attachNote(contextOf->getLoc()) << "the context of " << contextLength << " is here";
  return diag;
}

/// Replaces an op on whole sequences by one that goes on where the last call ended.
LogicalResult DecodeBuilder::continueSequence(OpBuilder &builder, SequenceOpInterface op) {
  if (std::string why = op.rejectDecoding(); !why.empty())
    return refuse(op, why);
  if (failed(checkContext(op)))
    return failure();
  auto operands = llvm::map_to_vector(op->getOperands(), [&](Value value) { return mapping.lookup(value); });
  MutableArrayRef<Cache> own = MutableArrayRef(caches).slice(nextCache, op.getCaches().size());
  nextCache += own.size();
  auto arguments = llvm::map_to_vector(own, [](Cache &cache) -> Value { return cache.argument; });
  Operation *next = op.buildDecoding(builder, operands, position, arguments);
  mapping.map(op->getResult(0), next->getResult(0));
  for (auto [cache, updated] : llvm::zip_equal(own, next->getResults().drop_front()))
    cache.updated = updated;
  return success();
}

LogicalResult DecodeBuilder::copyOp(EntryBuilder &entry, Operation *op) {
  if (!flow.dependsOnTokens(op)) {
    entry.builder.clone(*op, mapping);
    return success();
  }
  if (auto sequences = dyn_cast<SequenceOpInterface>(op))
    return continueSequence(entry.builder, sequences);
  return retype(entry, op);
}

/// Copies an op whose operands have other numbers of rows than in the forward function.
LogicalResult DecodeBuilder::retype(EntryBuilder &entry, Operation *op) {
  Operation *copy = entry.builder.clone(*op, mapping);
  // The rows that all calls of this entry have, where that is known.
  auto rowsOf = [&](Value original) {
    return ShapedType::isDynamic(tokensPerCall) ? tokensPerCall : tokensPerCall * flow.of(original).perToken;
  };
  auto resized = [&](Value original) {
    auto type = cast<RankedTensorType>(original.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape[flow.of(original).dim] = rowsOf(original);
    return RankedTensorType::get(shape, type.getElementType());
  };
  if (auto reshape = dyn_cast<ReshapeOp>(copy))
    reshape.setType(resized(op->getResult(0)));
  for (auto [result, original] : llvm::zip_equal(copy->getResults(), op->getResults()))
    result.setType(resized(original));
  return success();
}

LogicalResult DecodeBuilder::build(StringRef name, StringRef kind) {
  auto ops = forward.getBody().front().without_terminator();
  for (Operation &op : ops)
    if (std::string why = flow.visit(&op); !why.empty())
      return refuse(&op, why);
  EntryBuilder entry(request, name, kind, forward.getName());
  addArguments(entry);
  for (Operation &op : ops)
    if (failed(copyOp(entry, &op)))
      return failure();
  Value result = forward.getBody().front().getTerminator()->getOperand(0);
  if (TokenRows rows = flow.of(result); rows.depends() && rows != TokenRows{0, 1})
    return refuse(result.getDefiningOp(), rows.dim == 0 ? "returns " + Twine(rows.perToken) + " rows per token"
                                                        : "returns tokens along dimension " + Twine(rows.dim));
  entry.addResult(mapping.lookup(result), "logits");
  for (Cache &cache : caches)
    entry.addResult(cache.updated, cache.name, cache.argument);
  FailureOr<func::FuncOp> function = entry.finish();
  if (failed(function))
    return failure();
  // A longer prompt would overwrite keys that its own tokens still attend to, and be more than one sequence.
  if (contextOf && ShapedType::isDynamic(tokensPerCall))
    (*function)->setAttr(attrs::kMaxTokens, Builder(request).getI64IntegerAttr(contextLength));
  return success();
}

struct DeriveDecodePass : peer::impl::DeriveDecodeBase<DeriveDecodePass> {
  void runOnOperation() override {
    // States are shared by name: sequences of several requests may alternate.
    bool several = llvm::range_size(getOperation().getOps<DecodeOp>()) > 1;
    for (DecodeOp request : llvm::make_early_inc_range(getOperation().getOps<DecodeOp>())) {
      std::string prefix = several ? (request.getSymName() + ".").str() : "";
      FailureOr<func::FuncOp> forward = findRequestedFunction(request, request.getFunctionAttr());
      if (failed(forward) || failed(checkForward(request, *forward)) ||
          failed(DecodeBuilder(request, *forward, prefix, ShapedType::kDynamic)
                     .build(request.getPrefill(), kind::kPrefill)) ||
          failed(DecodeBuilder(request, *forward, prefix, 1).build(request.getSymName(), kind::kDecode)))
        return signalPassFailure();
      request.erase();
      eraseIfUnused(*forward);
    }
  }
};

} // namespace
