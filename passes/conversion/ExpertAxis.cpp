//===- ExpertAxis.cpp - values with an element for each expert -----------===//

#include "ExpertAxis.h"

using namespace mlir;
using namespace peer;

/// Whether a result of an op that reads scores or selections has their form, too.
static bool keepsAxis(Operation *op) {
  return isa<SelectOp, GateOp, ProbabilityOp, GatherOp, StraightThroughOp, CapacityOp, BalanceBiasOp, ExpertLoadOp,
             SoftmaxOp>(op);
}

ExpertAxis::ExpertAxis(ModuleOp module, ScoreOp score) : score(score), symbols(module) {
  module.walk([&](Operation *op) {
    if (auto callee = calleeOf(op))
      calls[callee.getAttr()].push_back(op);
  });
  values.insert(score.getLogits());
  for (size_t i = 0; i < values.size(); ++i)
    for (OpOperand &use : values[i].getUses())
      follow(use);
}

void ExpertAxis::pass(Value from, Value to) {
  values.insert(to);
  passed.emplace_back(from, to);
}

void ExpertAxis::follow(OpOperand &use) {
  Operation *op = use.getOwner();
  if (isa<func::ReturnOp>(op)) {
    for (Operation *call : calls.lookup(op->getParentOfType<func::FuncOp>().getSymNameAttr()))
      pass(use.get(), call->getResult(use.getOperandNumber()));
    ops.insert(op);
  } else if (auto callee = calleeOf(op)) {
    auto function = symbols.lookup<func::FuncOp>(callee.getAttr());
    if (function && !function.isExternal())
      pass(use.get(), function.getArgument(use.getOperandNumber()));
    ops.insert(op);
  } else if (ops.insert(op)) {
    if (auto mix = dyn_cast<MixLikeOpInterface>(op))
      mixes.push_back(mix);
    if (keepsAxis(op))
      for (Value result : op->getResults())
        values.insert(result);
  }
}

bool ExpertAxis::isGrid() const {
  return llvm::any_of(ops, [](Operation *op) {
    auto select = dyn_cast<SelectOp>(op);
    return select && select.getPolicy().isGrid();
  });
}

FailureOr<bool> ExpertAxis::isMeant(const ParameterNames &names, ArrayRef<std::string> layers) const {
  if (mixes.empty() || isGrid())
    return false;
  unsigned meant = 0, all = 0;
  for (MixLikeOpInterface mix : mixes) {
    auto pool = MixLikeOpInterface(mix).getPool().getDefiningOp<ParamOp>();
    if (!pool)
      return MixLikeOpInterface(mix).emitError() << "expected the pool to be a parameter of the block that uses it";
    for (const std::string &name : names.of(pool)) {
      ++all;
      meant += isInLayers(name, layers);
    }
  }
  if (meant && meant != all)
    return ScoreOp(score).emitError()
           << "some of the layers that this block describes are to be converted, and others are not: "
              "expected all of them, or a block of its own for each kind";
  return meant != 0;
}

LogicalResult peer::checkReaders(const ParameterNames &names, ArrayRef<ParamOp> params,
                                 const llvm::DenseSet<Operation *> &readers) {
  for (ParamOp changed : params)
    for (const std::string &name : names.of(changed))
      for (ParamOp param : names.uses(name))
        for (Operation *user : param->getUsers())
          if (!readers.contains(user))
            return user->emitError() << "parameter '" << name << "' of a layer that is converted is used here, too";
  return success();
}

LogicalResult ExpertAxis::checkClosed() const {
  for (Value value : values) {
    auto argument = dyn_cast<BlockArgument>(value);
    auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
    if (!function)
      continue;
    if (function.isPublic())
      return function.emitError() << "entry @" << function.getName()
                                  << " takes what a router says, which would be of another size";
    for (Operation *call : calls.lookup(function.getSymNameAttr()))
      if (!values.contains(call->getOperand(argument.getArgNumber())))
        return call->emitError() << "@" << function.getName() << " is called here with what another router says";
  }
  for (Operation *op : ops) {
    if (isa<RepeatOp>(op))
      return op->emitError() << "what a router says is carried around a peer.repeat, through which it is not followed";
    auto function = op->getParentOfType<func::FuncOp>();
    if (isa<func::ReturnOp>(op) && function.isPublic())
      return op->emitError() << "entry @" << function.getName()
                             << " returns what a router says, which would be of another size";
    for (OpOperand &operand : op->getOpOperands()) {
      // What else these ops read has no such dimension, or is changed with them.
      bool other = isa<func::ReturnOp>(op) || calleeOf(op) || operand.get().getDefiningOp<ParamOp>() ||
                   (isa<SelectOp>(op) && operand.getOperandNumber() == 1);
      if (auto mix = dyn_cast<MixLikeOpInterface>(op))
        other |= operand.get() == mix.getX() || operand.get() == mix.getPool() || operand.get() == mix.getScales();
      if (!other && !values.contains(operand.get()))
        return op->emitError() << "op '" << op->getName()
                               << "' takes beside what a router says something that another one does";
    }
  }
  return success();
}

void peer::updateSignatures(ModuleOp module) {
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (!function.isExternal())
      function.setFunctionType(FunctionType::get(module.getContext(), function.getBody().getArgumentTypes(),
                                                 function.getBody().front().getTerminator()->getOperandTypes()));
}
