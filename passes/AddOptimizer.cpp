//===- AddOptimizer.cpp - the training step of a loss --------------------===//

#include "Differentiate.h"
#include "Entries.h"
#include "Optimizers.h"
#include "Passes.h"
#include "dialect/Differentiation.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_ADDOPTIMIZER
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// A trainable parameter that the loss depends on.
struct Member {
  BlockArgument argument;
  StringRef name;
  Value gradient;
  /// The row-sparse form of the gradient, where the update is lazy.
  PoolGradOp rows;
  SmallVector<BlockArgument> states;
  /// The parameter, then its states, after the step.
  SmallVector<Value> updated;
};

/// Parameters that share an optimizer, a learning rate and a gradient norm.
struct Group {
  StringRef name;
  Attribute optimizer;
  SmallVector<Member> members;
  BlockArgument learningRate;
  Value norm;  ///< null where it is not computed
  Value bound; ///< where the norm is not: finite if the gradients are
  Value scale; ///< of the gradients: clips them, and vetoes the step where it is NaN
};

/// A running statistic that a batch norm moves by `momentum` towards the batch's.
struct Statistic {
  BlockArgument argument;
  Value batch;
  double momentum;
  Location loc;
};

/// Builds the entry that one request asks for.
class StepBuilder {
public:
  StepBuilder(TrainOp request, func::FuncOp loss)
      : request(request), loss(loss), entry(request, request.getSymName(), kind::kTrain, loss.getName()),
        builder(entry.builder) {}

  LogicalResult build();
  ArrayAttr describeGroups();

private:
  LogicalResult findGroups();
  LogicalResult copyLoss();
  LogicalResult trainBatchNorm(BatchNormOp norm);
  LogicalResult addStatistic(BatchNormOp norm, Value source, Value batch);
  LogicalResult findGradients();
  LogicalResult findRows(Group &group, Member &member);
  void addOptimizerArguments();
  void clip(Group &group);
  void veto();
  void moveStatistics();
  void update(Group &group, Member &member);
  LogicalResult finish();

  Value splat(Type type, double value) {
    auto tensor = cast<RankedTensorType>(type);
    return arith::ConstantOp::create(builder, request.getLoc(),
                                     DenseElementsAttr::get(tensor, builder.getF32FloatAttr(value)));
  }
  Type scalarType() { return RankedTensorType::get({}, builder.getF32Type()); }

  TrainOp request;
  func::FuncOp loss;
  EntryBuilder entry;
  OpBuilder &builder;
  IRMapping mapping;
  Value value;
  SmallVector<Group> groups;
  SmallVector<Statistic> statistics;
  /// Running statistics by argument of the step, and what they become.
  llvm::MapVector<Value, Value> running;
  /// 0, or NaN where loss or gradients are not finite.
  Value vetoed;
  BlockArgument step;
};

/// The default group first, the others in the order of their first parameter. A group
/// that the request does not list has the default's optimizer.
LogicalResult StepBuilder::findGroups() {
  DictionaryAttr listed = request.getGroups().value_or(builder.getDictionaryAttr({}));
  auto add = [&](StringRef name) -> Group & {
    auto *known = llvm::find_if(groups, [&](Group &group) { return group.name == name; });
    if (known != groups.end())
      return *known;
    Attribute optimizer = listed.get(name);
    groups.push_back({name, optimizer ? optimizer : request.getOptimizer(), {}, {}, {}, {}, {}});
    return groups.back();
  };
  add("default");
  for (unsigned i = 0; i < loss.getNumArguments(); ++i)
    if (ParameterAttr parameter = getParameter(loss, i); parameter && parameter.getTrainable())
      add(parameter.getGroup());
  for (NamedAttribute group : listed)
    if (llvm::none_of(groups, [&](Group &known) { return known.name == group.getName(); }))
      return request.emitOpError() << "sets an optimizer for group '" << group.getName().getValue()
                                   << "', but no trainable parameter of @" << loss.getName() << " is in it";
  return success();
}

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
    if (!norm || norm.getBatchStatistics())
      builder.clone(op, mapping);
    else if (failed(trainBatchNorm(norm)))
      return failure();
  }
  value = mapping.lookup(body.getTerminator()->getOperand(0));
  return success();
}

LogicalResult StepBuilder::trainBatchNorm(BatchNormOp norm) {
  Value x = mapping.lookup(norm.getX());
  auto batch = BatchStatsOp::create(builder, norm.getLoc(), x, ValueRange());
  auto trained = BatchNormOp::create(
      builder, norm.getLoc(), x, mapping.lookup(norm.getWeight()), mapping.lookup(norm.getBias()), batch.getResult(0),
      batch.getResult(1), norm.getEpsilonAttr(), norm.getMomentumAttr(), builder.getUnitAttr(), ValueRange());
  mapping.map(norm.getResults(), trained.getResults());
  if (failed(addStatistic(norm, norm.getMean(), batch.getResult(0))))
    return failure();
  return addStatistic(norm, norm.getVariance(), batch.getResult(1));
}

LogicalResult StepBuilder::addStatistic(BatchNormOp norm, Value source, Value batch) {
  auto argument = dyn_cast<BlockArgument>(source);
  ParameterAttr parameter = argument ? getParameter(loss, argument.getArgNumber()) : ParameterAttr();
  if (!parameter || parameter.getTrainable())
    return norm.emitOpError("cannot be trained: its running statistics must be parameters marked 'buffer'");
  statistics.push_back(
      {cast<BlockArgument>(mapping.lookup(source)), batch, norm.getMomentum().convertToDouble(), norm.getLoc()});
  return success();
}

//===----------------------------------------------------------------------===//
// Gradients
//===----------------------------------------------------------------------===//

LogicalResult StepBuilder::findGradients() {
  SmallVector<Value> parameters, gradients;
  SmallVector<unsigned> indices;
  for (unsigned i = 0; i < loss.getNumArguments(); ++i) {
    ParameterAttr parameter = getParameter(loss, i);
    if (!parameter || !parameter.getTrainable())
      continue;
    parameters.push_back(mapping.lookup(Value(loss.getArgument(i))));
    indices.push_back(i);
  }
  Value seed = splat(value.getType(), 1.0);
  if (failed(differentiate(builder, value, seed, parameters, gradients)))
    return failure();
  for (auto [parameter, gradient, i] : llvm::zip_equal(parameters, gradients, indices)) {
    if (!gradient) {
      mlir::emitWarning(parameter.getLoc()) << "parameter '" << getArgumentName(loss, i) << "' gets no gradient from @"
                                            << loss.getName() << " and is left as it is";
      continue;
    }
    StringRef name = getParameter(loss, i).getGroup();
    Group &group = *llvm::find_if(groups, [&](Group &known) { return known.name == name; });
    Member member{cast<BlockArgument>(parameter), getArgumentName(loss, i), gradient, {}, {}, {}};
    if (failed(findRows(group, member)))
      return failure();
    group.members.push_back(member);
  }
  llvm::erase_if(groups, [](Group &group) { return group.members.empty(); });
  return success();
}

/// Whether a parameter of a lazy group can be updated row by row.
LogicalResult StepBuilder::findRows(Group &group, Member &member) {
  if (!isLazy(group.optimizer))
    return success();
  auto isPool = [&](OpOperand &use) {
    auto mix = dyn_cast<MixOp>(use.getOwner());
    return mix && mix.getPool() == member.argument;
  };
  if (llvm::none_of(member.argument.getUses(), isPool))
    return success(); // no rows to tell apart: updated as a whole
  member.rows = member.gradient.getDefiningOp<PoolGradOp>();
  if (!member.rows)
    return request.emitOpError() << "cannot update '" << member.name << "' row by row, as group '" << group.name
                                 << "' asks: more than one op uses it; leave 'lazy' out, or give each layer a pool of "
                                    "its own";
  return success();
}

//===----------------------------------------------------------------------===//
// Clipping and updates
//===----------------------------------------------------------------------===//

void StepBuilder::addOptimizerArguments() {
  for (Group &group : groups)
    for (Member &member : group.members)
      for (StringRef state : getStateNames(group.optimizer)) {
        auto type = cast<RankedTensorType>(member.argument.getType()).clone(builder.getF32Type());
        member.states.push_back(
            entry.addArgument(type, member.argument.getLoc(), (member.name + "." + state).str(), role::kState));
      }
  for (Group &group : groups)
    group.learningRate = entry.addArgument(scalarType(), request.getLoc(),
                                           (format::name::kLearningRateOf + group.name).str(), role::kScalar);
  step = entry.addArgument(scalarType(), request.getLoc(), format::name::kStep, role::kScalar);
}

/// The group's gradient norm, and scale = min(1, clip_norm / (norm + 1e-6)).
void StepBuilder::clip(Group &group) {
  Location loc = request.getLoc();
  double limit = getClipNorm(group.optimizer);
  bool rowSparse = llvm::any_of(group.members, [](Member &member) { return bool(member.rows); });
  group.scale = splat(scalarType(), 1.0);
  Value squares;
  auto add = [&](Value sum) {
    squares = squares ? arith::AddFOp::create(builder, loc, squares, sum).getResult() : sum;
  };
  auto addSquares = [&](Value x) { add(SumSquaresOp::create(builder, loc, x, ValueRange()).getResult(0)); };
  bool exact = limit != 0.0 || !rowSparse;
  for (Member &member : group.members) {
    PoolGradOp rows = member.rows;
    if (!rows)
      addSquares(member.gradient);
    else if (exact)
      add(PoolGradNormOp::create(builder, loc, rows.getIdx(), rows.getOrder(), rows.getStarts(), rows.getCount(),
                                 rows.getCoef(), rows.getX(), rows.getDy(), ValueRange())
              .getResult(0));
    else
      for (Value factor : {rows.getCoef(), rows.getX(), rows.getDy()})
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
  Value guarded = arith::AddFOp::create(builder, loc, group.norm, splat(scalarType(), 1e-6));
  Value ratio = arith::DivFOp::create(builder, loc, splat(scalarType(), limit), guarded);
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

/// running -= momentum * (running - batch): steps of an optimizer, so that a veto stops them, too.
void StepBuilder::moveStatistics() {
  if (statistics.empty())
    return;
  auto number = [&](double x) { return builder.getF64FloatAttr(x); };
  Attribute optimizer = SGDAttr::get(builder.getContext(), number(0), number(0), number(0), number(0), /*lazy=*/false);
  Value one = splat(scalarType(), 1.0);
  Value scale = arith::AddFOp::create(builder, request.getLoc(), one, vetoed);
  for (Statistic &statistic : statistics) {
    Value &now = running.try_emplace(statistic.argument, statistic.argument).first->second;
    Value away = arith::SubFOp::create(builder, statistic.loc, now, statistic.batch);
    now = UpdateOp::create(builder, statistic.loc, now, away, splat(scalarType(), statistic.momentum), one, scale,
                           optimizer, ValueRange())
              .getResult(0);
  }
}

void StepBuilder::update(Group &group, Member &member) {
  Location loc = member.argument.getLoc();
  SmallVector<Value> states(member.states.begin(), member.states.end());
  if (PoolGradOp rows = member.rows) {
    auto lazy = RowUpdateOp::create(builder, loc, member.argument, rows.getIdx(), rows.getOrder(), rows.getStarts(),
                                    rows.getCount(), rows.getCoef(), rows.getX(), rows.getDy(), group.learningRate,
                                    step, group.scale, group.optimizer, states);
    llvm::append_range(member.updated, lazy.getResults());
    rows.erase(); // nothing reads the dense form
    return;
  }
  auto exact = UpdateOp::create(builder, loc, member.argument, member.gradient, group.learningRate, step, group.scale,
                                group.optimizer, states);
  llvm::append_range(member.updated, exact.getResults());
}

LogicalResult StepBuilder::finish() {
  entry.addResult(value, "loss");
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
    entry.addResult(moved, getArgumentName(loss, argument.getArgNumber()), argument);
  }
  for (Group &group : groups)
    for (Member &member : group.members)
      for (auto [i, state] : llvm::enumerate(getStateNames(group.optimizer)))
        entry.addResult(member.updated[1 + i], (member.name + "." + state).str(), member.states[i]);
  return entry.finish();
}

LogicalResult StepBuilder::build() {
  if (failed(findGroups()) || failed(copyLoss()) || failed(findGradients()))
    return failure();
  addOptimizerArguments();
  for (Group &group : groups)
    clip(group);
  veto();
  for (Group &group : groups)
    for (Member &member : group.members)
      update(group, member);
  moveStatistics();
  return finish();
}

/// What the runtime wants to know about the groups before the first step.
ArrayAttr StepBuilder::describeGroups() {
  SmallVector<Attribute> described;
  for (Group &group : groups)
    described.push_back(builder.getDictionaryAttr({
        builder.getNamedAttr("name", builder.getStringAttr(group.name)),
        builder.getNamedAttr("optimizer", builder.getStringAttr(isa<AdamWAttr>(group.optimizer) ? "adamw" : "sgd")),
        builder.getNamedAttr("learning_rate", getLearningRate(group.optimizer)),
        builder.getNamedAttr("lazy", builder.getBoolAttr(isLazy(group.optimizer))),
    }));
  return builder.getArrayAttr(described);
}

struct AddOptimizerPass : peer::impl::AddOptimizerBase<AddOptimizerPass> {
  void getDependentDialects(DialectRegistry &registry) const override {
    AddOptimizerBase::getDependentDialects(registry);
    registerDifferentiationModels(registry);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    for (TrainOp request : llvm::make_early_inc_range(module.getOps<TrainOp>())) {
      // The manifest has one list of groups.
      if (module->hasAttr(attrs::kGroups)) {
        request.emitOpError("is the second training step of this module, which can have one");
        return signalPassFailure();
      }
      FailureOr<func::FuncOp> loss = findRequestedFunction(request, request.getFunctionAttr());
      if (failed(loss))
        return signalPassFailure();
      StepBuilder step(request, *loss);
      if (failed(step.build()))
        return signalPassFailure();
      (*loss)->setAttr(attrs::kKind, StringAttr::get(&getContext(), kind::kLoss));
      module->setAttr(attrs::kGroups, step.describeGroups());
      request.erase();
      eraseIfUnused(*loss);
    }
  }
};

} // namespace
