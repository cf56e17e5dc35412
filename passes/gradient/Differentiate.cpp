//===- Differentiate.cpp - gradient entries ------------------------------===//

#include "ReverseMode.h"
#include "RowGradients.h"
#include "SavedValues.h"

#include "StructuredGradient.h"

#include "dialect/Names.h"
#include "dialect/interfaces/Differentiation.h"
#include "passes/Entries.h"
#include "passes/Passes.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DIFFERENTIATE
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// Which of the function's inputs the request wants a gradient for.
FailureOr<SmallVector<unsigned>> findWantedInputs(GradientOp request, func::FuncOp function) {
  SmallVector<unsigned> wanted;
  if (std::optional<ArrayRef<int64_t>> listed = request.getWrt()) {
    for (int64_t index : *listed) {
      if (index < 0 || index >= function.getNumArguments() ||
          !isDifferentiableType(function.getArgument(index).getType()))
        return request.emitOpError() << "wants the gradient of argument " << index << " of @" << function.getName()
                                     << ", which is no floating-point tensor";
      wanted.push_back(index);
    }
    return wanted;
  }
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (!getParameter(function, i) && isDifferentiableType(function.getArgument(i).getType()))
      wanted.push_back(i);
  return wanted;
}

std::string nameOr(StringRef name, StringRef stem, unsigned index) {
  return name.empty() ? (stem + Twine(index)).str() : name.str();
}

/// Whether an op selects rows of a value.
bool isReadAsPool(Value value) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    auto mix = dyn_cast<MixLikeOpInterface>(user);
    return mix && mix.getPool() == value;
  });
}

/// What one op that reads a pool adds to its gradient.
struct Pairs {
  Value idx, coef, x, dy;
  RowCount rows;
};

/// Builds the entry that `request` asks for, or the two.
class GradientBuilder {
public:
  GradientBuilder(GradientOp request, func::FuncOp function)
      : request(request), function(function), body(function.getBody().front()),
        entry(request, request.getSymName(), request.getSaved() ? kind::kBackward : kind::kGradient,
              function.getName()) {}
  LogicalResult build();

private:
  void addArguments();
  LogicalResult differentiateBody(ArrayRef<unsigned> wanted);
  LogicalResult findPairs(unsigned index, Value gradient);
  SmallVector<Value> findResults() const;
  LogicalResult buildForward(SavedValues &saved);
  void addPairs(unsigned index);
  Value current(Value value) const { return replaced.lookup_or(value, value); }
  std::string gradientName(unsigned index) const;

  GradientOp request;
  func::FuncOp function;
  Block &body;
  EntryBuilder entry;
  IRMapping mapping;
  SmallVector<Value> outputs, seeds;
  /// Arguments of the function that get a gradient, the parameters last.
  SmallVector<unsigned> inputs;
  /// By argument: the gradient, or in its place the ops that would make it of pairs.
  llvm::SmallMapVector<unsigned, Value, 8> gradients;
  llvm::SmallMapVector<unsigned, SmallVector<Pairs>, 4> pairs;
  /// The function's values by those here; values here that have become arguments, and the names of what is given or returned.
  DenseMap<Value, Value> originals, replaced;
  DenseMap<Value, std::string> names;
  /// For the manifest.
  SmallVector<Attribute> described;
};

std::string GradientBuilder::gradientName(unsigned index) const {
  StringRef name = getArgumentName(function, index);
  return getParameter(function, index) ? (format::name::kGradientOf + name).str() : "d" + nameOr(name, "arg", index);
}

/// Inputs and the gradients of the results come first, parameters last.
void GradientBuilder::addArguments() {
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (!getParameter(function, i)) {
      BlockArgument argument = entry.addArgumentLike(function, i);
      mapping.map(body.getArgument(i), argument);
      names[argument] = nameOr(getArgumentName(function, i), "arg", i);
    }
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    if (!isDifferentiableType(value.getType()))
      continue;
    std::string name = "d" + nameOr(getResultName(function, i), "result", i);
    outputs.push_back(value);
    seeds.push_back(entry.addArgument(getGradientType(value.getType()), value.getLoc(), name, role::kInput));
    names[seeds.back()] = name;
  }
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    ParameterAttr parameter = getParameter(function, i);
    if (!parameter)
      continue;
    mapping.map(body.getArgument(i), entry.addArgumentLike(function, i));
    if (parameter.getTrainable() && request.getParameters())
      inputs.push_back(i);
  }
}

LogicalResult GradientBuilder::differentiateBody(ArrayRef<unsigned> wanted) {
  inputs.insert(inputs.begin(), wanted.begin(), wanted.end());
  for (Operation &op : body.without_terminator())
    entry.builder.clone(op, mapping);
  for (auto [original, copy] : mapping.getValueMap())
    originals[copy] = original;
  SmallVector<Value> ends, starts, found;
  for (Value output : outputs)
    ends.push_back(mapping.lookup(output));
  for (unsigned i : inputs)
    starts.push_back(mapping.lookup(Value(body.getArgument(i))));
  if (failed(differentiate(entry.builder, ends, seeds, starts, found)))
    return failure();
  for (auto [index, input, gradient] : llvm::zip_equal(inputs, starts, found)) {
    if (gradient && request.getRows() && isReadAsPool(body.getArgument(index))) {
      if (failed(findPairs(index, gradient)))
        return failure();
    } else {
      gradients[index] = gradient ? gradient : createZeroGradient(entry.builder, input);
    }
  }
  return success();
}

/// A sum of what the ops that read it contribute.
LogicalResult GradientBuilder::findPairs(unsigned index, Value gradient) {
  StringRef name = getArgumentName(function, index);
  TokenCounts counts(function);
  SmallVector<RowGradOpInterface> ops = findRowGradients(gradient);
  if (ops.empty()) {
    InFlightDiagnostic diag = request.emitOpError() << "cannot give the gradient of " << quote(name)
                                                    << " as pairs, since it is read as a whole, too; leave 'rows' out";
    for (Operation *user : body.getArgument(index).getUsers())
      if (!isa<MixLikeOpInterface>(user))
        diag.attachNote(user->getLoc()) << "op '" << user->getName() << "' reads it";
    return diag;
  }
  for (RowGradOpInterface op : ops) {
    Value idx = op.getIdxMutable().get();
    std::optional<RowCount> rows = counts.rowsOf(originals.lookup(idx));
    if (!rows || rows->parts != 1)
      return request.emitOpError()
             << "cannot give the gradient of " << quote(name)
             << " as pairs, since experts are selected for several tokens at once; leave 'rows' out";
    pairs[index].push_back({idx, op.getCoef(), op.getX(), op.getDy(), *rows});
  }
  return success();
}

/// What the entry has to compute: gradients, and what pairs consist of.
SmallVector<Value> GradientBuilder::findResults() const {
  SmallVector<Value> results;
  for (auto &[index, gradient] : gradients)
    results.push_back(current(gradient));
  for (auto &[index, list] : pairs)
    for (const Pairs &each : list)
      for (Value value : {each.idx, each.coef, each.x, each.dy})
        results.push_back(current(value));
  return results;
}

/// The entry that saves, and the arguments that stand for what it saved.
LogicalResult GradientBuilder::buildForward(SavedValues &saved) {
  EntryBuilder forward(request, *request.getSaved(), kind::kForward, function.getName());
  IRMapping copies;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    copies.map(body.getArgument(i), forward.addArgumentLike(function, i));
  for (Operation &op : body.without_terminator())
    forward.builder.clone(op, copies);
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    std::optional<BlockArgument> updates;
    if (auto index = function.getResultAttrOfType<IntegerAttr>(i, attrs::kUpdates))
      updates = cast<BlockArgument>(copies.lookup(Value(body.getArgument(index.getInt()))));
    forward.addResult(copies.lookup(value), nameOr(getResultName(function, i), "result", i), updates);
  }
  for (Value value : saved.saved()) {
    auto used = cast<RankedTensorType>(value.getType());
    RankedTensorType type = used.hasStaticShape() ? used : splitRows(used, *saved.rowsOf(value));
    std::string name = format::name::kSavedOf + saved.nameOf(value);
    Value kept = copies.lookup(value), here = mapping.lookup(value);
    BlockArgument argument = entry.addArgument(type, value.getLoc(), name, role::kInput);
    Value taken = argument;
    if (type != used) {
      OpBuilder::InsertionGuard guard(entry.builder);
      entry.builder.setInsertionPointToStart(argument.getOwner());
      kept = ReshapeOp::create(forward.builder, value.getLoc(), kept, type, ValueRange()).getY();
      taken = ReshapeOp::create(entry.builder, value.getLoc(), argument, used, ValueRange()).getY();
    }
    forward.addResult(kept, name);
    here.replaceAllUsesWith(taken);
    replaced[here] = taken;
    names[taken] = name;
  }
  return forward.finish();
}

/// Tensors of pairs that the entry is given are there under their names; the others are results.
void GradientBuilder::addPairs(unsigned index) {
  OpBuilder &builder = entry.builder;
  unsigned number = 0;
  for (const Pairs &each : pairs[index]) {
    std::string suffix = ++number == 1 ? "" : "." + std::to_string(number);
    SmallVector<NamedAttribute> parts = {builder.getNamedAttr(
        format::key::kOf, builder.getStringAttr(nameOr(getArgumentName(function, index), "arg", index)))};
    auto add = [&](StringRef part, Value value) {
      value = current(value);
      std::string &name = names[value];
      if (name.empty()) {
        name = gradientName(index) + "." + part.str() + suffix;
        auto type = cast<RankedTensorType>(value.getType()), split = splitRows(type, each.rows);
        Value result = value;
        if (type != split)
          result = ReshapeOp::create(builder, value.getLoc(), value, split, ValueRange()).getY();
        entry.addResult(result, name);
      }
      parts.push_back(builder.getNamedAttr(part, builder.getStringAttr(name)));
    };
    add(format::pairs::kIdx, each.idx);
    add(format::pairs::kCoef, each.coef);
    add(format::pairs::kX, each.x);
    add(format::pairs::kDy, each.dy);
    described.push_back(builder.getDictionaryAttr(parts));
  }
}

LogicalResult GradientBuilder::build() {
  FailureOr<SmallVector<unsigned>> wanted = findWantedInputs(request, function);
  if (failed(wanted))
    return failure();
  addArguments();
  if (failed(differentiateBody(*wanted)))
    return failure();
  if (request.getSaved()) {
    SavedValues saved(function, mapping);
    saved.choose(findResults());
    if (failed(buildForward(saved)))
      return failure();
  }
  eraseDeadOps(*entry.builder.getBlock(), findResults());
  entry.builder.setInsertionPointToEnd(entry.builder.getBlock());
  for (unsigned index : inputs)
    if (pairs.contains(index))
      addPairs(index);
    else
      entry.addResult(current(gradients[index]), gradientName(index));
  FailureOr<func::FuncOp> finished = entry.finish();
  if (failed(finished))
    return failure();
  if (!described.empty())
    (*finished)->setAttr(attrs::kPairs, entry.builder.getArrayAttr(described));
  return success();
}

struct DifferentiatePass : peer::impl::DifferentiateBase<DifferentiatePass> {
  void getDependentDialects(DialectRegistry &registry) const override {
    DifferentiateBase::getDependentDialects(registry);
    registerDifferentiationModels(registry);
    registerStructuredGradients(registry);
  }

  void runOnOperation() override {
    for (GradientOp request : llvm::make_early_inc_range(getOperation().getOps<GradientOp>())) {
      FailureOr<func::FuncOp> function = findRequestedFunction(request, request.getFunctionAttr());
      if (failed(function) || failed(GradientBuilder(request, *function).build()))
        return signalPassFailure();
      request.erase();
      eraseIfUnused(*function);
    }
  }
};

} // namespace
