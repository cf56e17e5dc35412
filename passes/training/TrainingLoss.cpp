//===- TrainingLoss.cpp - the loss of a training step and its gradients --===//

#include "TrainingStep.h"
#include "passes/Passes.h"
#include "passes/analysis/TokenCounts.h"
#include "passes/gradient/ReverseMode.h"

#include <numeric>

using namespace mlir;
using namespace peer;

//===----------------------------------------------------------------------===//
// The loss in training mode
//===----------------------------------------------------------------------===//

LogicalResult StepBuilder::copyLoss() {
  Block &body = loss.getBody().front();
  for (unsigned i = 0; i < loss.getNumArguments(); ++i)
    mapping.map(body.getArgument(i), entry.addArgumentLike(loss, i));
  // What other results need is no part of the step.
  auto needed = findNeededOps(body, body.getTerminator()->getOperand(0));
  for (Operation &op : body.without_terminator()) {
    if (!needed.contains(&op))
      continue;
    auto norm = dyn_cast<BatchNormOp>(op);
    if (auto dropout = dyn_cast<DropoutOp>(op))
      trainDropout(dropout);
    else if (!norm || norm.getBatchStatistics())
      builder.clone(op, mapping);
    else if (failed(trainBatchNorm(norm)))
      return failure();
  }
  for (auto bias : body.getOps<BalanceBiasOp>())
    if (needed.contains(bias) && failed(addBias(bias, needed)))
      return failure();
  value = mapping.lookup(body.getTerminator()->getOperand(0));
  return success();
}

/// The bias follows what the selection by its scores makes of the experts' load.
LogicalResult StepBuilder::addBias(BalanceBiasOp bias, const llvm::DenseSet<Operation *> &needed) {
  auto argument = dyn_cast<BlockArgument>(bias.getBias());
  ParameterAttr parameter = argument ? getParameter(loss, argument.getArgNumber()) : ParameterAttr();
  if (!parameter || parameter.getTrainable() || parameter.getFrozen())
    return bias.emitOpError("cannot be trained: its bias must be a parameter marked 'buffer'");
  SmallVector<SelectionOpInterface> selections;
  for (Operation *user : bias.getBiased().getUsers())
    if (auto selection = dyn_cast<SelectionOpInterface>(user); selection && needed.contains(user))
      selections.push_back(selection);
  if (selections.size() != 1)
    return bias.emitOpError("cannot be trained: its bias follows the one selection by its scores, and there are ")
           << selections.size();
  SelectionOpInterface selection = selections.front();
  auto load = ExpertLoadOp::create(builder, bias.getLoc(), mapping.lookup(selection->getResult(0)),
                                   selection.getNumKeys(), selection.isGrid() ? 2 : 1, /*first=*/false, ValueRange());
  statistics.push_back({argument.getArgNumber(), cast<BlockArgument>(mapping.lookup(Value(argument))), load.getLoad(),
                        bias.getRate().convertToDouble(), bias.getLoc(), /*isLoad=*/true});
  return success();
}

void StepBuilder::trainDropout(DropoutOp dropout) {
  Value x = mapping.lookup(dropout.getX());
  if (dropout.getRate().isZero())
    return mapping.map(dropout.getY(), x);
  if (!seed)
    seed = entry.addArgument(RankedTensorType::get({}, builder.getI32Type()), request.getLoc(),
                             format::name::kDropoutSeed, role::kScalar);
  auto place = builder.getI64IntegerAttr(dropouts++);
  auto active = DropoutOp::create(builder, dropout.getLoc(), x, seed, dropout.getRateAttr(), place, ValueRange());
  mapping.map(dropout.getY(), active.getY());
}

LogicalResult StepBuilder::trainBatchNorm(BatchNormOp norm) {
  Value x = mapping.lookup(norm.getX());
  auto batch = BatchStatsOp::create(builder, norm.getLoc(), x, ValueRange());
  auto trained = BatchNormOp::create(
      builder, norm.getLoc(), x, mapping.lookup(norm.getWeight()), mapping.lookup(norm.getBias()), batch.getMean(),
      batch.getVariance(), norm.getEpsilonAttr(), norm.getMomentumAttr(), builder.getUnitAttr(), ValueRange());
  mapping.map(norm.getResults(), trained.getResults());
  if (failed(addStatistic(norm, norm.getMean(), batch.getMean())))
    return failure();
  return addStatistic(norm, norm.getVariance(), batch.getVariance());
}

LogicalResult StepBuilder::addStatistic(BatchNormOp norm, Value source, Value batch) {
  auto argument = dyn_cast<BlockArgument>(source);
  ParameterAttr parameter = argument ? getParameter(loss, argument.getArgNumber()) : ParameterAttr();
  if (!parameter || parameter.getTrainable() || parameter.getFrozen())
    return norm.emitOpError("cannot be trained: its running statistics must be parameters marked 'buffer'");
  statistics.push_back({argument.getArgNumber(), cast<BlockArgument>(mapping.lookup(source)), batch,
                        norm.getMomentum().convertToDouble(), norm.getLoc()});
  return success();
}

//===----------------------------------------------------------------------===//
// Gradients
//===----------------------------------------------------------------------===//

LogicalResult StepBuilder::findGradients(Value seed, bool warns) {
  SmallVector<Value> parameters, gradients;
  SmallVector<unsigned> indices;
  for (unsigned i = 0; i < loss.getNumArguments(); ++i) {
    ParameterAttr parameter = getParameter(loss, i);
    if (!parameter || !parameter.getTrainable())
      continue;
    parameters.push_back(mapping.lookup(Value(loss.getArgument(i))));
    indices.push_back(i);
  }
  if (failed(differentiate(builder, value, seed, parameters, gradients)))
    return failure();
  for (auto [parameter, gradient, i] : llvm::zip_equal(parameters, gradients, indices)) {
    if (!gradient) {
      if (!warns)
        continue;
      mlir::emitWarning(parameter.getLoc()) << "parameter '" << getArgumentName(loss, i) << "' gets no gradient from @"
                                            << loss.getName() << " and is left as it is";
      continue;
    }
    StringRef name = getParameter(loss, i).getGroup();
    Group &group = *llvm::find_if(groups, [&](Group &known) { return known.name == name; });
    Member member{i, cast<BlockArgument>(parameter), getArgumentName(loss, i), gradient, {}, {}, {}};
    if (failed(findRows(group, member)))
      return failure();
    group.members.push_back(member);
  }
  llvm::erase_if(groups, [](Group &group) { return group.members.empty(); });
  return success();
}

/// How many rows of pairs each op has for a token; empty where that is no whole number for all of them.
SmallVector<int64_t> StepBuilder::countRows(Member &member, ArrayRef<RowGradOpInterface> ops) {
  // Rows are known of the loss's values.
  DenseMap<Value, Value> originals;
  for (Operation *user : loss.getArgument(member.index).getUsers())
    if (auto mix = dyn_cast<MixLikeOpInterface>(user))
      if (Value idx = mapping.lookupOrNull(mix.getIdx()))
        originals[idx] = mix.getIdx();
  TokenCounts counts(loss);
  SmallVector<RowCount> rows;
  for (RowGradOpInterface op : ops) {
    Value idx = originals.lookup(op.getIdxMutable().get());
    std::optional<RowCount> count = idx ? counts.rowsOf(idx) : std::nullopt;
    if (!count || count->parts != 1 || (!rows.empty() && count->perToken != rows.front().perToken))
      return {};
    rows.push_back(*count);
  }
  // Without a number of tokens that is open, what all have in common is as good as one.
  int64_t unit = 0;
  for (RowCount count : rows)
    unit = count.perToken ? 1 : std::gcd(unit, count.times);
  return llvm::map_to_vector(rows, [&](RowCount count) { return count.times / unit; });
}

/// Finds the pairs of a pool in a lazy group: those of all ops that use it are one list.
LogicalResult StepBuilder::findRows(Group &group, Member &member) {
  if (!group.optimizer.getLazy())
    return success();
  auto isPool = [&](OpOperand &use) {
    auto mix = dyn_cast<MixLikeOpInterface>(use.getOwner());
    return mix && mix.getPool() == use.get();
  };
  auto refuse = [&](const Twine &why) {
    return request.emitOpError() << "cannot update '" << member.name << "' row by row, as group '" << group.name
                                 << "' asks: " << why << "; leave 'lazy' out";
  };
  // Rows of a part have other numbers than those of the whole.
  for (Operation *user : member.argument.getUsers())
    for (Value part : user->getResults())
      if (llvm::any_of(part.getUses(), isPool))
        return refuse("the pool that an op reads is a part of it");
  if (llvm::none_of(member.argument.getUses(), isPool))
    return success(); // no rows to tell apart: updated as a whole
  SmallVector<RowGradOpInterface> ops = findRowGradients(member.gradient);
  if (ops.empty()) {
    InFlightDiagnostic diag = refuse("it is read as a whole, too");
    for (Operation *user : loss.getArgument(member.index).getUsers())
      if (!isa<MixLikeOpInterface>(user))
        diag.attachNote(user->getLoc()) << "op '" << user->getName() << "' reads it";
    return diag;
  }
  if (ops.size() == 1) {
    RowGradOpInterface rows = ops.front();
    member.rows = {rows.getIdxMutable().get(),
                   rows.getOrder(),
                   rows.getStarts(),
                   rows.getCount(),
                   rows.getCoef(),
                   rows.getX(),
                   rows.getDy()};
  } else {
    auto rowsOfExpert = [](RowGradOpInterface op) { return cast<ShapedType>(op.getCoef().getType()).getDimSize(3); };
    int64_t perExpert = rowsOfExpert(ops.front());
    for (RowGradOpInterface op : ops)
      if (rowsOfExpert(op) != perExpert)
        return refuse("ops that use it have experts of " + Twine(perExpert) + " and of " + Twine(rowsOfExpert(op)) +
                      " rows");
    SmallVector<int64_t> rowsPerToken = countRows(member, ops);
    if (rowsPerToken.empty())
      return refuse("ops that use it select experts for several tokens at once, or for none");
    int64_t rows = cast<ShapedType>(member.argument.getType()).getDimSize(0);
    member.rows = joinRowGradients(builder, request.getLoc(), ops, rowsPerToken, rows / perExpert);
  }
  eraseRowGradients(member.gradient); // nothing reads the dense form
  member.gradient = {};
  return success();
}
