//===- AccumulateGradients.cpp - a training step in two entries ----------===//

#include "TrainingStep.h"
#include "passes/Passes.h"
#include "passes/analysis/TokenFlow.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace peer;

namespace {

/// A value that the first entry computes and the second one takes, under one name.
struct Handover {
  std::string name;
  /// As results of entries are, with one row per token, and as it is used, where a token may have several.
  RankedTensorType type, used;
};

struct RowHandover {
  int64_t experts;
  Handover idx, coef, x, dy;
};

/// Builds both entries.
class Splitter {
public:
  Splitter(TrainOp request, func::FuncOp loss)
      : request(request), loss(loss), first(request, loss, nameOf(request, kind::kAccumulate), kind::kAccumulate),
        second(request, loss, nameOf(request, kind::kUpdate), kind::kUpdate) {}
  LogicalResult followTokens();
  LogicalResult buildAccumulate();
  LogicalResult buildUpdate();

  static std::string nameOf(TrainOp request, StringRef part) { return (request.getSymName() + "_" + part).str(); }

private:
  std::string visitMean(Operation *op);
  LogicalResult handRows(Member &member);
  Handover handValue(Value value, int64_t rowsPerToken, const Twine &name);
  void addToSum(const std::string &name, Location loc, Value value, Value factor);
  void sumStatistics();
  RowGradient takeRows(const RowHandover &rows);
  Value takeValue(const Handover &handover);
  void takeStatistics();
  void takeArguments();

  TrainOp request;
  func::FuncOp loss;
  StepBuilder first, second;
  /// Of the loss's values; those in `means` are means over all tokens.
  TokenFlow flow;
  llvm::DenseSet<Value> means;
  /// Row-sparse gradients by the parameter's name. A tensor that belongs to several is handed over once.
  llvm::StringMap<RowHandover> rows;
  llvm::DenseMap<std::pair<Value, int64_t>, Handover> handed;
  llvm::StringMap<Value> taken;
  /// What the first entry adds to, in the order of its arguments; those of statistics come last.
  SmallVector<std::pair<std::string, Type>> sums;
  /// The second entry's arguments for them.
  SmallVector<BlockArgument> summed;
  BlockArgument weight, begins;
};

} // namespace

//===----------------------------------------------------------------------===//
// What can be summed
//===----------------------------------------------------------------------===//

/// Sums of means, and their products with what does not depend on tokens, are means; nothing else is.
std::string Splitter::visitMean(Operation *op) {
  auto isMean = [&](Value value) { return means.contains(value); };
  bool linear = isa<arith::AddFOp, arith::SubFOp, arith::NegFOp>(op) ||
                (isa<arith::MulFOp>(op) && llvm::count_if(op->getOperands(), isMean) == 1) ||
                (isa<arith::DivFOp>(op) && !isMean(op->getOperand(1)));
  if (!linear)
    return "makes of a mean over tokens what is none";
  means.insert(op->getResult(0));
  return "";
}

/// N parts of a batch, each with a weight of 1/N, are the batch where the loss is a mean of what sequences have each.
LogicalResult Splitter::followTokens() {
  Block &body = loss.getBody().front();
  // Parts are made of whole sequences, and all have as many.
  flow.allowJoinedRows();
  for (BlockArgument argument : body.getArguments())
    if (auto type = dyn_cast<RankedTensorType>(argument.getType()); type && type.getRank() > 0 && type.isDynamicDim(0))
      flow.addTokens(argument);
  auto needed = findNeededOps(body, body.getTerminator()->getOperand(0));
  for (Operation &op : body.without_terminator()) {
    if (!needed.contains(&op))
      continue;
    std::string fault;
    if (llvm::any_of(op.getOperands(), [&](Value operand) { return means.contains(operand); }))
      fault = visitMean(&op);
    else if (auto mean = dyn_cast<MeanOp>(op); mean && flow.dependsOnTokens(&op))
      means.insert(mean.getMean());
    else
      fault = flow.visit(&op);
    if (fault.empty())
      continue;
    InFlightDiagnostic diag = request.emitOpError()
                              << "cannot have its gradients accumulated: the loss of a batch must be the mean of those "
                                 "of its parts";
    diag.attachNote(op.getLoc()) << "op '" << op.getName() << "' " << fault;
    return diag;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Loss and gradients of a part
//===----------------------------------------------------------------------===//

/// Adds a result that has one row per token, as those of entries have.
Handover Splitter::handValue(Value value, int64_t rowsPerToken, const Twine &name) {
  auto [known, isNew] = handed.try_emplace({value, rowsPerToken});
  if (!isNew)
    return known->second;
  auto used = cast<RankedTensorType>(value.getType()), type = used;
  if (rowsPerToken > 1) {
    SmallVector<int64_t> shape(used.getShape());
    shape.insert(shape.begin() + 1, rowsPerToken);
    type = used.clone(shape);
    value = ReshapeOp::create(first.builder, value.getLoc(), value, type, ValueRange()).getY();
  }
  known->second = {name.str(), type, used};
  first.entry.addResult(value, known->second.name);
  return known->second;
}

LogicalResult Splitter::handRows(Member &member) {
  // The rows of the gradient are those of the mix, or of all that use the pool.
  BlockArgument pool = loss.getArgument(member.index);
  MixLikeOpInterface mix;
  for (OpOperand &use : pool.getUses())
    if (auto user = dyn_cast<MixLikeOpInterface>(use.getOwner()); user && user.getPool() == pool)
      mix = user;
  TokenRows walks = flow.of(mix.getIdx());
  if (walks.tokensPerRow > 1)
    return mix->emitOpError() << "has a row for " << walks.tokensPerRow << " tokens: gradients of '" << member.name
                              << "' cannot be accumulated row by row";
  if (walks.dim != 0)
    return mix->emitOpError() << "selects the same experts for all tokens: gradients of '" << member.name
                              << "' cannot be accumulated row by row";
  RowGradient &gradient = member.rows;
  int64_t rowsPerToken = gradient.rowsPerToken ? gradient.rowsPerToken : walks.perToken;
  auto hand = [&](Value value, StringRef what) { return handValue(value, rowsPerToken, member.name + "." + what); };
  rows[member.name] = {mix.getNumExperts(), hand(gradient.idx, "idx"), hand(gradient.coef, "coef"),
                       hand(gradient.x, "x"), hand(gradient.dy, "dy")};
  return success();
}

/// Adds `value`, times `factor` where there is one, to a sum that the first part of a step begins.
void Splitter::addToSum(const std::string &name, Location loc, Value value, Value factor) {
  OpBuilder &builder = first.builder;
  OpBuilder::InsertionGuard guard(builder);
  // As soon as a gradient is there: then it need not be kept.
  if (Operation *op = value.getDefiningOp())
    builder.setInsertionPointAfter(op);
  auto type = cast<RankedTensorType>(value.getType());
  BlockArgument sum = first.entry.addArgument(type, loc, name, role::kState);
  sums.emplace_back(name, type);
  SmallVector<Value> inputs = {value, begins};
  if (factor)
    inputs.push_back(factor);
  SmallVector<AffineMap> maps(inputs.size() + 1, AffineMap::get(type.getRank(), 0, builder.getContext()));
  maps.front() = maps.back() = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  auto add = [&](OpBuilder &b, Location loc, ValueRange values) {
    Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0f));
    Value starts = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, values[1], zero);
    Value before = arith::SelectOp::create(b, loc, starts, zero, values.back());
    Value term = factor ? arith::MulFOp::create(b, loc, values[0], values[2]).getResult() : values[0];
    linalg::YieldOp::create(b, loc, Value(arith::AddFOp::create(b, loc, before, term)));
  };
  Value added =
      linalg::GenericOp::create(builder, loc, TypeRange{type}, inputs, Value(sum), maps, loops, add).getResult(0);
  first.entry.addResult(added, name, sum);
}

/// A batch's mean and variance are put together from those of its parts: from the means of (mean - running mean) and of
/// variance + (mean - running mean)^2. A running mean is near the means, so that little is lost by squaring. A batch's load is the
/// mean of its parts'.
void Splitter::sumStatistics() {
  OpBuilder &builder = first.builder;
  for (size_t i = 0; i + 1 < first.statistics.size() && !first.statistics[i].isLoad; i += 2) {
    Statistic &mean = first.statistics[i], &variance = first.statistics[i + 1];
    Value away = arith::SubFOp::create(builder, mean.loc, mean.batch, mean.argument);
    Value square = arith::MulFOp::create(builder, mean.loc, away, away);
    Value moment = arith::AddFOp::create(builder, mean.loc, variance.batch, square);
    for (auto [statistic, value] : {std::pair(&mean, away), std::pair(&variance, moment)}) {
      // A norm that a model uses twice has two of each.
      std::string name = (getArgumentName(loss, statistic->index) + ".batch").str();
      for (unsigned number = 2; llvm::any_of(sums, [&](auto &sum) { return sum.first == name; }); ++number)
        name = (getArgumentName(loss, statistic->index) + ".batch." + Twine(number)).str();
      addToSum(name, statistic->loc, value, weight);
    }
  }
  // Behind the others, as among the statistics.
  for (Statistic &load : first.statistics)
    if (load.isLoad)
      addToSum((getArgumentName(loss, load.index) + ".load." + Twine(sums.size())).str(), load.loc, load.batch, weight);
}

LogicalResult Splitter::buildAccumulate() {
  if (failed(first.findGroups()) || failed(first.copyLoss()))
    return failure();
  weight = first.entry.addArgument(first.scalarType(), request.getLoc(), format::name::kGradientWeight, role::kScalar);
  begins = first.entry.addArgument(first.scalarType(), request.getLoc(), format::name::kFirstPart, role::kScalar);
  if (failed(first.findGradients(weight, /*warns=*/false)))
    return failure();
  first.entry.addResult(first.value, format::name::kLoss);
  for (Group &group : first.groups)
    for (Member &member : group.members) {
      if (!member.rows)
        addToSum((member.name + ".gradient").str(), member.argument.getLoc(), member.gradient, {});
      else if (failed(handRows(member)))
        return failure();
    }
  sumStatistics();
  return first.entry.finish();
}

//===----------------------------------------------------------------------===//
// The update
//===----------------------------------------------------------------------===//

Value Splitter::takeValue(const Handover &handover) {
  Value &value = taken[handover.name];
  if (value)
    return value;
  value = second.entry.addArgument(handover.type, request.getLoc(), handover.name, role::kInput);
  if (handover.type != handover.used)
    value = ReshapeOp::create(second.builder, request.getLoc(), value, handover.used, ValueRange()).getY();
  return value;
}

RowGradient Splitter::takeRows(const RowHandover &rows) {
  Value idx = takeValue(rows.idx);
  auto sorted = SortPairsOp::create(second.builder, request.getLoc(), idx, rows.experts, ValueRange());
  return {idx,
          sorted.getOrder(),
          sorted.getStarts(),
          sorted.getCount(),
          takeValue(rows.coef),
          takeValue(rows.x),
          takeValue(rows.dy)};
}

/// Inputs, parameters and sums, and what the groups make of them.
void Splitter::takeArguments() {
  llvm::StringMap<RowGradient> rowGradients;
  llvm::SmallMapVector<unsigned, BlockArgument, 16> parameters;
  for (Group &group : first.groups)
    for (Member &member : group.members) {
      parameters[member.index] = {};
      if (member.rows)
        rowGradients[member.name] = takeRows(rows[member.name]);
    }
  for (Statistic &statistic : first.statistics)
    parameters[statistic.index] = {};
  for (auto &[index, argument] : parameters)
    argument = second.entry.addArgumentLike(loss, index);
  for (auto &[name, type] : sums)
    summed.push_back(second.entry.addArgument(type, request.getLoc(), name, role::kState));

  auto *next = summed.begin();
  for (Group &group : first.groups) {
    second.groups.push_back({group.name, group.optimizer, {}, {}, {}, {}, {}});
    for (Member &member : group.members) {
      Value gradient = member.rows ? Value() : *next++;
      second.groups.back().members.push_back(
          {member.index, parameters[member.index], member.name, gradient, rowGradients.lookup(member.name), {}, {}});
    }
  }
  for (Statistic &statistic : first.statistics)
    second.statistics.push_back(
        {statistic.index, parameters[statistic.index], *next++, statistic.momentum, statistic.loc, statistic.isLoad});
}

/// What sumStatistics() made of the parts' statistics, to those of the batch.
void Splitter::takeStatistics() {
  OpBuilder &builder = second.builder;
  for (size_t i = 0; i + 1 < second.statistics.size() && !second.statistics[i].isLoad; i += 2) {
    Statistic &mean = second.statistics[i], &variance = second.statistics[i + 1];
    Value away = mean.batch, square = arith::MulFOp::create(builder, mean.loc, away, away);
    Value spread = arith::SubFOp::create(builder, mean.loc, variance.batch, square);
    Value none = arith::ConstantOp::create(builder, mean.loc, builder.getZeroAttr(spread.getType()));
    mean.batch = arith::AddFOp::create(builder, mean.loc, mean.argument, away);
    variance.batch = arith::MaximumFOp::create(builder, mean.loc, spread, none);
  }
}

LogicalResult Splitter::buildUpdate() {
  takeArguments();
  takeStatistics();
  second.addOptimizerArguments();
  second.value = second.entry.addArgument(second.scalarType(), request.getLoc(), format::name::kLoss, role::kScalar);
  second.buildUpdates();
  second.addUpdateResults();
  return second.entry.finish();
}

LogicalResult peer::buildAccumulation(TrainOp request, func::FuncOp loss) {
  for (StringRef part : {kind::kAccumulate, kind::kUpdate}) {
    std::string name = Splitter::nameOf(request, part);
    if (Operation *other = SymbolTable::lookupNearestSymbolFrom(request, StringAttr::get(request.getContext(), name))) {
      InFlightDiagnostic diag = request.emitOpError()
                                << "makes an entry '" << name << "' to accumulate gradients; rename the other one";
      diag.attachNote(other->getLoc()) << "this has the same name";
      return diag;
    }
  }
  Splitter splitter(request, loss);
  return success(succeeded(splitter.followTokens()) && succeeded(splitter.buildAccumulate()) &&
                 succeeded(splitter.buildUpdate()));
}
