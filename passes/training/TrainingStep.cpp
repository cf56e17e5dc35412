//===- TrainingStep.cpp - groups, clipping and updates of a training step ===//

#include "TrainingStep.h"
#include "dialect/Names.h"
#include "dialect/Nearest.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace peer;

/// A group that the request does not list has the default's optimizer.
LogicalResult StepBuilder::findGroups() {
  DictionaryAttr listed = request.getGroups().value_or(builder.getDictionaryAttr({}));
  auto add = [&](StringRef name) -> Group & {
    auto known = llvm::find_if(groups, [&](Group &group) { return group.name == name; });
    if (known != groups.end())
      return *known;
    auto optimizer = cast_or_null<OptimizerAttrInterface>(listed.get(name));
    groups.push_back({name, optimizer ? optimizer : request.getOptimizer(), {}, {}, {}, {}, {}});
    return groups.back();
  };
  add("default");
  llvm::DenseSet<Attribute> frozen;
  for (unsigned i = 0; i < loss.getNumArguments(); ++i)
    if (ParameterAttr parameter = getParameter(loss, i); parameter && parameter.getTrainable())
      add(parameter.getGroup());
    else if (parameter && parameter.getFrozen())
      frozen.insert(parameter.getGroup());
  SmallVector<StringRef> known = llvm::map_to_vector(groups, [](Group &group) { return group.name; });
  for (NamedAttribute group : listed)
    if (!llvm::is_contained(known, group.getName().getValue()))
      return request.emitOpError() << "sets an optimizer for group " << quote(group.getName().getValue())
                                   << ", but no trainable parameter of @" << loss.getName() << " is in it"
                                   << (frozen.contains(group.getName())
                                           ? ": what is in it is frozen"
                                           : didYouMean(group.getName().getValue(), known));
  return success();
}

//===----------------------------------------------------------------------===//
// Clipping and updates
//===----------------------------------------------------------------------===//

static SmallVector<OptimizerState> statesOf(Group &group, Member &member) {
  return group.optimizer.getStates(cast<RankedTensorType>(member.argument.getType()).getShape());
}

void StepBuilder::addOptimizerArguments() {
  for (Group &group : groups)
    for (Member &member : group.members)
      for (const OptimizerState &state : statesOf(group, member))
        member.states.push_back(entry.addArgument(RankedTensorType::get(state.shape, state.element),
                                                  member.argument.getLoc(), (member.name + "." + state.name).str(),
                                                  role::kState));
  for (Group &group : groups)
    group.learningRate = entry.addArgument(scalarType(), request.getLoc(),
                                           (format::name::kLearningRateOf + group.name).str(), role::kScalar);
  step = entry.addArgument(scalarType(), request.getLoc(), format::name::kStep, role::kScalar);
}

/// The group's gradient norm, and scale = min(1, clip_norm / (norm + 1e-6)).
void StepBuilder::clip(Group &group) {
  Location loc = request.getLoc();
  double limit = group.optimizer.getClipNorm().getValueAsDouble();
  bool rowSparse = llvm::any_of(group.members, [](Member &member) { return bool(member.rows); });
  group.scale = splat(1.0);
  Value squares;
  auto add = [&](Value sum) {
    squares = squares ? arith::AddFOp::create(builder, loc, squares, sum).getResult() : sum;
  };
  auto addSquares = [&](Value x) { add(SumSquaresOp::create(builder, loc, x, ValueRange()).getSquares()); };
  bool exact = limit != 0.0 || !rowSparse;
  for (Member &member : group.members) {
    RowGradient &rows = member.rows;
    if (!rows)
      addSquares(member.gradient);
    else if (exact)
      add(PoolGradNormOp::create(builder, loc, rows.idx, rows.order, rows.starts, rows.count, rows.coef, rows.x,
                                 rows.dy, ValueRange())
              .getSquares());
    else
      for (Value factor : {rows.coef, rows.x, rows.dy})
        addSquares(factor);
  }
  // The norm of row-sparse gradients costs another pass over them, so only clipping pays for it. They are sums of products of
  // coefficients and rows: bounded, by Cauchy and Schwarz, by the squares of both.
  if (!exact) {
    group.bound = squares;
    return;
  }
  group.norm = math::SqrtOp::create(builder, loc, squares);
  if (limit == 0.0)
    return;
  Value guarded = arith::AddFOp::create(builder, loc, group.norm, splat(1e-6));
  Value ratio = arith::DivFOp::create(builder, loc, splat(limit), guarded);
  group.scale = arith::MinimumFOp::create(builder, loc, group.scale, ratio);
}

/// A step whose loss or gradients are not finite changes nothing: x - x is 0 for what is finite and NaN for what is not, and
/// updates do nothing where their scale is NaN.
void StepBuilder::veto() {
  Location loc = request.getLoc();
  auto add = [&](Value x) {
    Value none = arith::SubFOp::create(builder, loc, x, x);
    vetoed = vetoed ? arith::AddFOp::create(builder, loc, vetoed, none).getResult() : none;
  };
  add(value);
  for (Group &group : groups)
    add(group.norm ? group.norm : group.bound);
  for (Group &group : groups)
    group.scale = arith::AddFOp::create(builder, loc, group.scale, vetoed);
}

/// The sign of what each share of a load is above an even one; 0 where only rounding tells them apart.
Value StepBuilder::emitExcess(Statistic &statistic) {
  auto type = cast<RankedTensorType>(statistic.batch.getType());
  double even = 1.0 / double(type.getDimSize(1));
  Value out = tensor::EmptyOp::create(builder, statistic.loc, type.getShape(), type.getElementType());
  AffineMap all = builder.getMultiDimIdentityMap(2);
  SmallVector<utils::IteratorType> loops(2, utils::IteratorType::parallel);
  auto sign = [&](OpBuilder &b, Location loc, ValueRange values) {
    auto number = [&](double x) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(x)); };
    constexpr double kRounding = 1e-6;
    auto beyond = [&](arith::CmpFPredicate predicate, double bound) -> Value {
      return arith::CmpFOp::create(b, loc, predicate, values[0], number(bound));
    };
    Value below = arith::SelectOp::create(b, loc, beyond(arith::CmpFPredicate::OLT, even * (1 - kRounding)), number(-1),
                                          number(0));
    linalg::YieldOp::create(b, loc,
                            Value(arith::SelectOp::create(
                                b, loc, beyond(arith::CmpFPredicate::OGT, even * (1 + kRounding)), number(1), below)));
  };
  return linalg::GenericOp::create(builder, statistic.loc, TypeRange{type}, statistic.batch, out,
                                   SmallVector<AffineMap>{all, all}, loops, sign)
      .getResult(0);
}

/// running -= momentum * (running - batch), bias -= rate * excess: steps of an optimizer, so that a veto stops them, too.
void StepBuilder::moveStatistics() {
  if (statistics.empty())
    return;
  auto number = [&](double x) { return builder.getF64FloatAttr(x); };
  auto optimizer = SGDAttr::get(builder.getContext(), number(0), number(0), number(0), number(0), /*lazy=*/false,
                                /*schedule=*/StringAttr(), /*nearest=*/false, /*narrow=*/false);
  Value one = splat(1.0);
  Value scale = arith::AddFOp::create(builder, request.getLoc(), one, vetoed);
  for (Statistic &statistic : statistics) {
    Value &now = running.try_emplace(statistic.argument, statistic.argument).first->second;
    Value away = statistic.isLoad ? emitExcess(statistic)
                                  : arith::SubFOp::create(builder, statistic.loc, now, statistic.batch).getResult();
    now = UpdateOp::create(builder, statistic.loc, now, away, splat(statistic.momentum), one, scale, optimizer,
                           ValueRange())
              .getUpdated();
  }
}

void StepBuilder::update(Group &group, Member &member) {
  Location loc = member.argument.getLoc();
  SmallVector<Value> states(member.states.begin(), member.states.end());
  if (RowGradient &rows = member.rows) {
    auto lazy =
        RowUpdateOp::create(builder, loc, member.argument, rows.idx, rows.order, rows.starts, rows.count, rows.coef,
                            rows.x, rows.dy, group.learningRate, step, group.scale, group.optimizer, states);
    llvm::append_range(member.updated, lazy.getResults());
    return;
  }
  auto exact = UpdateOp::create(builder, loc, member.argument, member.gradient, group.learningRate, step, group.scale,
                                group.optimizer, states);
  llvm::append_range(member.updated, exact.getResults());
}

void StepBuilder::buildUpdates() {
  for (Group &group : groups)
    clip(group);
  veto();
  for (Group &group : groups)
    for (Member &member : group.members)
      update(group, member);
  moveStatistics();
}

void StepBuilder::addUpdateResults() {
  for (Group &group : groups)
    if (group.norm)
      entry.addResult(group.norm, (format::name::kGradientNormOf + group.name).str());
    else
      entry.addResult(arith::SubFOp::create(builder, request.getLoc(), group.bound, group.bound),
                      (format::name::kGradientFaultOf + group.name).str());
  for (Group &group : groups)
    for (Member &member : group.members)
      entry.addResult(member.updated.front(), member.name, member.argument);
  for (auto &[target, moved] : running) {
    auto argument = cast<BlockArgument>(target);
    auto *statistic = llvm::find_if(statistics, [&](Statistic &known) { return known.argument == argument; });
    entry.addResult(moved, getArgumentName(loss, statistic->index), argument);
  }
  for (Group &group : groups)
    for (Member &member : group.members)
      for (auto [i, state] : llvm::enumerate(statesOf(group, member)))
        entry.addResult(member.updated[1 + i], (member.name + "." + state.name).str(), member.states[i]);
}

/// What the runtime wants to know about the groups before the first step.
ArrayAttr StepBuilder::describeGroups() {
  SmallVector<Attribute> described;
  for (Group &group : groups) {
    SmallVector<NamedAttribute> fields = {
        builder.getNamedAttr("name", builder.getStringAttr(group.name)),
        builder.getNamedAttr("optimizer", builder.getStringAttr(group.optimizer.getOptimizerName())),
        builder.getNamedAttr("learning_rate", group.optimizer.getLearningRate()),
        builder.getNamedAttr("lazy", builder.getBoolAttr(group.optimizer.getLazy())),
    };
    if (StringAttr schedule = group.optimizer.getSchedule())
      fields.push_back(builder.getNamedAttr("schedule", schedule));
    described.push_back(builder.getDictionaryAttr(fields));
  }
  return builder.getArrayAttr(described);
}

FailureOr<ArrayAttr> peer::buildTrainingStep(TrainOp request, func::FuncOp loss) {
  StepBuilder step(request, loss, request.getSymName(), kind::kTrain);
  if (failed(step.findGroups()) || failed(step.copyLoss()) ||
      failed(step.findGradients(step.splat(1.0), /*warns=*/true)))
    return failure();
  auto isFrozen = [&](unsigned i) {
    ParameterAttr parameter = getParameter(loss, i);
    return parameter && parameter.getFrozen();
  };
  if (step.groups.empty() && step.statistics.empty() && llvm::any_of(llvm::seq(loss.getNumArguments()), isFrozen))
    return request.emitOpError() << "has nothing to train: what @" << loss.getName() << " depends on is frozen";
  step.addOptimizerArguments();
  step.buildUpdates();
  step.entry.addResult(step.value, format::name::kLoss);
  step.addUpdateResults();
  if (failed(step.entry.finish()))
    return failure();
  return step.describeGroups();
}
