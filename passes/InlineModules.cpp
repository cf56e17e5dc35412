//===- InlineModules.cpp - blocks inlined, parameters as arguments -------===//

#include "Entries.h"
#include "Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_INLINEMODULES
#include "passes/Passes.h.inc"
} // namespace peer

/// What is compiled in minutes: a hundred blocks have some thousand ops.
static constexpr uint64_t kMostOps = 10000;
/// Calls within calls are followed by recursion.
static constexpr unsigned kMostNested = 256;

namespace {

/// Measures entries with all calls replaced by bodies, without replacing any.
class EntryMeasure {
public:
  explicit EntryMeasure(const SymbolTable &symbols) : symbols(symbols) {}
  /// Checks that `entry` has at most `kMostOps`, and calls nested at most `kMostNested` deep.
  LogicalResult check(func::FuncOp entry);

private:
  /// Ops, and how deep calls nest in them.
  struct Measure {
    uint64_t ops = 1;
    unsigned depth = 0;
  };
  Measure measure(Operation &op, unsigned nested);
  Measure measure(func::FuncOp function, unsigned nested);

  const SymbolTable &symbols;
  llvm::DenseMap<Operation *, Measure> measures;
};

/// A parameter as its first use declares it.
struct Declaration {
  Type type;
  ParameterAttr parameter;
  Location loc;
};
using Declarations = llvm::StringMap<Declaration>;

/// Copies one function into an entry, with all calls replaced by bodies.
class Inliner {
public:
  Inliner(EntryBuilder &entry, const SymbolTable &symbols, Declarations &declarations)
      : entry(entry), symbols(symbols), declarations(declarations) {}

  /// Copies `callee`'s body on `inputs`; `results` are what it returns.
  LogicalResult inlineBody(func::FuncOp callee, StringRef prefix, ValueRange inputs, SmallVectorImpl<Value> &results);

private:
  LogicalResult inlineOp(Operation &op, StringRef prefix, IRMapping &mapping);
  LogicalResult inlineCall(Operation &op, FlatSymbolRefAttr callee, StringRef prefix, IRMapping &mapping);
  FailureOr<func::FuncOp> findCallee(Operation &op, FlatSymbolRefAttr name);
  LogicalResult inlineRepeat(RepeatOp op, StringRef prefix, IRMapping &mapping);
  LogicalResult declare(ParamOp op, StringRef prefix, IRMapping &mapping);

  EntryBuilder &entry;
  const SymbolTable &symbols;
  Declarations &declarations;
  /// Functions being copied, from the entry inwards: one that appears twice calls itself.
  SmallVector<func::FuncOp> stack;
  llvm::StringMap<Value> arguments;
};

EntryMeasure::Measure EntryMeasure::measure(Operation &op, unsigned nested) {
  Measure own = {0, 0};
  op.walk([&](Operation *) { ++own.ops; });
  FlatSymbolRefAttr callee;
  uint64_t times = 1;
  if (auto call = dyn_cast<peer::CallOp>(op)) {
    callee = call.getCalleeAttr();
  } else if (auto call = dyn_cast<func::CallOp>(op)) {
    callee = call.getCalleeAttr();
  } else if (auto repeat = dyn_cast<RepeatOp>(op)) {
    callee = repeat.getCalleeAttr();
    times = repeat.getCount();
  }
  auto function = callee ? symbols.lookup<func::FuncOp>(callee.getValue()) : func::FuncOp();
  if (!function || function.isExternal())
    return own;
  Measure called = nested < kMostNested ? measure(function, nested + 1) : Measure();
  return {llvm::SaturatingMultiplyAdd(times, called.ops, own.ops), called.depth + 1};
}

EntryMeasure::Measure EntryMeasure::measure(func::FuncOp function, unsigned nested) {
  // One that calls itself is measured without its own calls; the inliner refuses it.
  auto [known, isNew] = measures.try_emplace(function);
  if (!isNew)
    return known->second;
  // A call counts as an op: a million calls of nothing take their time, too.
  Measure total;
  for (Operation &op : function.getBody().front()) {
    Measure own = measure(op, nested);
    total = {llvm::SaturatingAdd(total.ops, own.ops), std::max(total.depth, own.depth)};
  }
  return measures[function] = total;
}

LogicalResult EntryMeasure::check(func::FuncOp entry) {
  uint64_t ops = 0;
  for (Operation &op : entry.getBody().front()) {
    Measure own = measure(op, 0);
    ops = llvm::SaturatingAdd(ops, own.ops);
    auto refuse = [&] {
      return op.emitError() << "op '" << op.getName() << "' makes entry @" << entry.getName() << " too large: ";
    };
    if (own.depth > kMostNested)
      return refuse() << "its calls nest more than " << kMostNested << " deep";
    if (ops > kMostOps)
      return refuse() << "with calls replaced by what they call, there are "
                      << (ops == std::numeric_limits<uint64_t>::max() ? std::string("2^64 or more")
                                                                      : std::to_string(ops))
                      << " ops up to here, and " << kMostOps << " are what can be compiled";
  }
  return success();
}

LogicalResult Inliner::inlineBody(func::FuncOp callee, StringRef prefix, ValueRange inputs,
                                  SmallVectorImpl<Value> &results) {
  if (!callee.getBody().hasOneBlock())
    return callee.emitError() << "@" << callee.getName()
                              << " has control flow; only straight-line functions can be inlined";
  stack.push_back(callee);
  IRMapping mapping;
  mapping.map(callee.getArguments(), inputs);
  for (Operation &op : callee.getBody().front().without_terminator())
    if (failed(inlineOp(op, prefix, mapping)))
      return failure();
  for (Value value : callee.getBody().front().getTerminator()->getOperands())
    results.push_back(mapping.lookup(value));
  stack.pop_back();
  return success();
}

LogicalResult Inliner::inlineOp(Operation &op, StringRef prefix, IRMapping &mapping) {
  if (auto param = dyn_cast<ParamOp>(op))
    return declare(param, prefix, mapping);
  if (auto call = dyn_cast<peer::CallOp>(op))
    return inlineCall(op, call.getCalleeAttr(), joinNames(prefix, call.getPrefix()), mapping);
  if (auto call = dyn_cast<func::CallOp>(op))
    return inlineCall(op, call.getCalleeAttr(), prefix, mapping);
  if (auto repeat = dyn_cast<RepeatOp>(op))
    return inlineRepeat(repeat, prefix, mapping);
  // Names inside a region would need arguments threaded through it.
  for (Region &region : op.getRegions()) {
    auto nested = region.walk([](Operation *inner) {
      if (!isa<ParamOp, peer::CallOp, RepeatOp, func::CallOp>(inner))
        return WalkResult::advance();
      inner->emitOpError("must stand directly in a function's body, not in a region");
      return WalkResult::interrupt();
    });
    if (nested.wasInterrupted())
      return failure();
  }
  entry.builder.clone(op, mapping);
  return success();
}

FailureOr<func::FuncOp> Inliner::findCallee(Operation &op, FlatSymbolRefAttr name) {
  auto callee = symbols.lookup<func::FuncOp>(name.getValue());
  if (!callee || callee.isExternal())
    return op.emitOpError() << "calls @" << name.getValue() << ", which has no body here";
  if (llvm::is_contained(stack, callee))
    return op.emitOpError() << "makes @" << name.getValue() << " call itself; a model description cannot recurse";
  return callee;
}

LogicalResult Inliner::inlineCall(Operation &op, FlatSymbolRefAttr name, StringRef prefix, IRMapping &mapping) {
  FailureOr<func::FuncOp> callee = findCallee(op, name);
  if (failed(callee))
    return failure();
  SmallVector<Value> inputs, results;
  for (Value operand : op.getOperands())
    inputs.push_back(mapping.lookup(operand));
  if (failed(inlineBody(*callee, prefix, inputs, results)))
    return failure();
  mapping.map(op.getResults(), results);
  return success();
}

LogicalResult Inliner::inlineRepeat(RepeatOp op, StringRef prefix, IRMapping &mapping) {
  // A count of 0 passes the inputs on.
  mapping.map(op.getResults(), llvm::map_to_vector(op.getInputs(), [&](Value v) { return mapping.lookup(v); }));
  FailureOr<func::FuncOp> callee = findCallee(*op, op.getCalleeAttr());
  if (failed(callee))
    return failure();
  for (int64_t i = 0; i < int64_t(op.getCount()); ++i) {
    std::string block = joinNames(joinNames(prefix, op.getPrefix()), std::to_string(int64_t(op.getFrom()) + i));
    SmallVector<Value> inputs, results;
    for (Value value : op.getResults())
      inputs.push_back(mapping.lookup(value));
    if (failed(inlineBody(*callee, block, inputs, results)))
      return failure();
    mapping.map(op.getResults(), results);
  }
  return success();
}

LogicalResult Inliner::declare(ParamOp op, StringRef prefix, IRMapping &mapping) {
  Builder builder(op);
  std::string name = joinNames(prefix, op.getName());
  // Quantized rows are not what an optimizer moves.
  bool trainable = !op.getBuffer() && !op.getFrozen() && isa<FloatType>(op.getType().getElementType());
  auto parameter = ParameterAttr::get(op.getContext(), builder.getStringAttr(name), op.getInitAttr(), op.getGroupAttr(),
                                      trainable, op.getFrozen());
  auto [it, isNew] = declarations.try_emplace(name, Declaration{op.getType(), parameter, op.getLoc()});
  const Declaration &first = it->second;
  if (first.type != op.getType() || first.parameter != parameter) {
    InFlightDiagnostic diag = op.emitError() << "parameter '" << name << "' is used twice in different ways: here as ";
    if (first.type != op.getType()) {
      diag << op.getType() << ", before as " << first.type;
    } else {
      diag << parameter << ", before as " << first.parameter;
    }
    diag.attachNote(first.loc) << "first used here";
    return diag;
  }
  auto [argument, isFirstUse] = arguments.try_emplace(name, Value());
  if (isFirstUse)
    argument->second = entry.addArgument(op.getType(), op.getLoc(), name, role::kParameter, parameter);
  mapping.map(op.getResult(), argument->second);
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

struct InlineModulesPass : peer::impl::InlineModulesBase<InlineModulesPass> {
  void runOnOperation() override;
  /// Replaces `source`, at the end of the pass, by an entry of the same name.
  FailureOr<func::FuncOp> buildEntry(func::FuncOp source, StringRef kind, const SymbolTable &symbols,
                                     EntryMeasure &measure, Declarations &declarations);
};

FailureOr<func::FuncOp> InlineModulesPass::buildEntry(func::FuncOp source, StringRef kind, const SymbolTable &symbols,
                                                      EntryMeasure &measure, Declarations &declarations) {
  if (auto given = source->getAttrOfType<StringAttr>(attrs::kKind))
    kind = given.getValue();
  if (failed(measure.check(source)))
    return failure();
  EntryBuilder entry(source, source.getName(), kind, "");
  SmallVector<Value> inputs, results;
  for (unsigned i = 0; i < source.getNumArguments(); ++i)
    inputs.push_back(entry.addArgumentLike(source, i));
  if (failed(Inliner(entry, symbols, declarations).inlineBody(source, "", inputs, results)))
    return failure();
  for (auto [i, value] : llvm::enumerate(results)) {
    std::optional<BlockArgument> updates;
    if (auto index = source.getResultAttrOfType<IntegerAttr>(i, attrs::kUpdates))
      updates = cast<BlockArgument>(inputs[index.getInt()]);
    StringRef name = getResultName(source, i);
    entry.addResult(value, name.empty() ? "result" + std::to_string(i) : name.str(), updates);
  }
  // Contexts and ranges are those of what the results need.
  eraseDeadOps(*entry.builder.getBlock(), results);
  FailureOr<func::FuncOp> finished = entry.finish();
  if (failed(finished))
    return failure();
  finished->setVisibility(source.getVisibility());
  // What a person wrote on the function stays; what this pass derives wins.
  for (NamedAttribute attribute : source->getDiscardableAttrs())
    if (!(*finished)->hasAttr(attribute.getName()))
      (*finished)->setAttr(attribute.getName(), attribute.getValue());
  return finished;
}

void InlineModulesPass::runOnOperation() {
  ModuleOp module = getOperation();
  // Requests make entries of private functions too.
  llvm::StringMap<StringRef> kinds;
  for (Operation &op : module.getOps()) {
    if (auto train = dyn_cast<TrainOp>(op))
      kinds[train.getFunction()] = kind::kLoss;
    else if (auto gradient = dyn_cast<GradientOp>(op))
      kinds.try_emplace(gradient.getFunction(), kind::kForward);
    else if (auto decode = dyn_cast<DecodeOp>(op))
      kinds.try_emplace(decode.getFunction(), kind::kForward);
  }

  // Names the originals while entries of the same names are built beside them.
  SymbolTable symbols(module);
  EntryMeasure measure(symbols);
  Declarations declarations;
  SmallVector<func::FuncOp> sources;
  for (func::FuncOp function : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
    auto requested = kinds.find(function.getName());
    if (function.isExternal() || (function.isPrivate() && requested == kinds.end()))
      continue;
    // A model that is not trained, quantized perhaps, may say itself what measures it.
    auto written = function->getAttrOfType<StringAttr>(attrs::kKind);
    bool isLoss = written && written.getValue() == kind::kLoss;
    StringRef derived = requested == kinds.end() ? StringRef(kind::kForward) : requested->second;
    FailureOr<func::FuncOp> entry =
        buildEntry(function, isLoss ? StringRef(kind::kLoss) : derived, symbols, measure, declarations);
    if (failed(entry))
      return signalPassFailure();
    sources.push_back(function);
  }
  // All copies are made from the originals, which go last: entries may call entries.
  for (func::FuncOp source : sources)
    source.erase();

  eraseUnused(module);
}

} // namespace
