//===- AddOptimizer.cpp - the training step of a loss --------------------===//

#include "Differentiate.h"
#include "Entries.h"
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
  Value scale; ///< of the gradients, for clipping
};

double getClipNorm(Attribute optimizer) {
  if (auto adamw = dyn_cast<AdamWAttr>(optimizer))
    return adamw.getClipNorm().getValueAsDouble();
  return cast<SGDAttr>(optimizer).getClipNorm().getValueAsDouble();
}

FloatAttr getLearningRate(Attribute optimizer) {
  if (auto adamw = dyn_cast<AdamWAttr>(optimizer))
    return adamw.getLearningRate();
  return cast<SGDAttr>(optimizer).getLearningRate();
}

/// Names of an optimizer's states, in the order of `peer.update`'s operands.
SmallVector<StringRef> getStateNames(Attribute optimizer) {
  if (isa<AdamWAttr>(optimizer))
    return {"m", "v"};
  if (getNumStates(optimizer) == 1)
    return {"momentum"};
  return {};
}

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
  LogicalResult moveRunning(BatchNormOp norm, Value running, Value batch);
  LogicalResult findGradients();
  LogicalResult findRows(Group &group, Member &member);
  void addOptimizerArguments();
  void clip(Group &group);
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
  /// Running statistics by argument of the step, and what they become.
  llvm::MapVector<Value, Value> running;
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
    groups.push_back({name, optimizer ? optimizer : request.getOptimizer(), {}, {}, {}, {}});
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
  for (Operation &op : body.without_terminator()) {
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
  if (failed(moveRunning(norm, norm.getMean(), batch.getResult(0))))
    return failure();
  return moveRunning(norm, norm.getVariance(), batch.getResult(1));
}

/// running + momentum * (batch - running)
LogicalResult StepBuilder::moveRunning(BatchNormOp norm, Value source, Value batch) {
  auto argument = dyn_cast<BlockArgument>(source);
  ParameterAttr parameter = argument ? getParameter(loss, argument.getArgNumber()) : ParameterAttr();
  if (!parameter || parameter.getTrainable())
    return norm.emitOpError("cannot be trained: its running statistics must be parameters marked 'buffer'");
  Location loc = norm.getLoc();
  Value target = mapping.lookup(source);
  Value old = running.try_emplace(target, target).first->second;
  Value difference = arith::SubFOp::create(builder, loc, batch, old);
  Value momentum = splat(old.getType(), norm.getMomentum().convertToDouble());
  Value move = arith::MulFOp::create(builder, loc, difference, momentum);
  running[target] = arith::AddFOp::create(builder, loc, old, move);
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
                                 << "' asks: more than one op uses it; share no pool, or give the group an optimizer "
                                    "that is not lazy";
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
    group.learningRate =
        entry.addArgument(scalarType(), request.getLoc(), ("learning_rate." + group.name).str(), role::kScalar);
  step = entry.addArgument(scalarType(), request.getLoc(), "step", role::kScalar);
}

/// The group's gradient norm, and scale = min(1, clip_norm / (norm + 1e-6)).
void StepBuilder::clip(Group &group) {
  Location loc = request.getLoc();
  double limit = getClipNorm(group.optimizer);
  bool rowSparse = llvm::any_of(group.members, [](Member &member) { return bool(member.rows); });
  group.scale = splat(scalarType(), 1.0);
  // The norm of row-sparse gradients costs another pass over them, so only clipping pays for it.
  if (limit == 0.0 && rowSparse)
    return;
  Value squares;
  for (Member &member : group.members) {
    Value sum;
    if (PoolGradOp rows = member.rows)
      sum = PoolGradNormOp::create(builder, loc, rows.getIdx(), rows.getOrder(), rows.getStarts(), rows.getCount(),
                                   rows.getCoef(), rows.getX(), rows.getDy(), ValueRange())
                .getResult(0);
    else
      sum = SumSquaresOp::create(builder, loc, member.gradient, ValueRange()).getResult(0);
    squares = squares ? arith::AddFOp::create(builder, loc, squares, sum).getResult() : sum;
  }
  group.norm = math::SqrtOp::create(builder, loc, squares);
  if (limit == 0.0)
    return;
  Value guarded = arith::AddFOp::create(builder, loc, group.norm, splat(scalarType(), 1e-6));
  Value ratio = arith::DivFOp::create(builder, loc, splat(scalarType(), limit), guarded);
  group.scale = arith::MinimumFOp::create(builder, loc, group.scale, ratio);
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
      entry.addResult(group.norm, ("gradient_norm." + group.name).str());
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
  for (Group &group : groups)
    for (Member &member : group.members)
      update(group, member);
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
