//===- Calibrate.cpp - an entry that shows what a conversion wants --------===//

#include "Conversions.h"
#include "DenseLayer.h"

#include "passes/Entries.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_CALIBRATE
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

namespace {

struct CalibratePass : peer::impl::CalibrateBase<CalibratePass> {
  using CalibrateBase::CalibrateBase;
  void runOnOperation() override;

private:
  /// A function like an entry, but with parameters that it declares.
  func::FuncOp copy(func::FuncOp entry);
};

func::FuncOp CalibratePass::copy(func::FuncOp entry) {
  OpBuilder builder(entry);
  auto function =
      func::FuncOp::create(builder, entry.getLoc(), "copy_of_" + entry.getName().str(), entry.getFunctionType());
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  IRMapping mapping;
  SmallVector<Attribute> attributes;
  for (unsigned i = entry.getNumArguments(); i-- > 0;) {
    ParameterAttr parameter = getParameter(entry, i);
    BlockArgument argument = body->getArgument(i);
    if (!parameter) {
      mapping.map(entry.getArgument(i), argument);
      continue;
    }
    bool isBuffer = !parameter.getTrainable() && isa<FloatType>(getElementTypeOrSelf(argument.getType()));
    auto param =
        ParamOp::create(builder, argument.getLoc(), argument.getType(), parameter.getName(), parameter.getInit(),
                        parameter.getGroup(), isBuffer ? builder.getUnitAttr() : UnitAttr());
    mapping.map(entry.getArgument(i), param.getResult());
    body->eraseArgument(i);
  }
  builder.setInsertionPointToEnd(body);
  for (Operation &op : entry.getBody().front())
    builder.clone(op, mapping);
  for (unsigned i = 0; i < entry.getNumArguments(); ++i)
    if (!getParameter(entry, i))
      attributes.push_back(builder.getDictionaryAttr(
          builder.getNamedAttr(attrs::kName, builder.getStringAttr(peer::getArgumentName(entry, i)))));
  function.setFunctionType(builder.getFunctionType(body->getArgumentTypes(), entry.getResultTypes()));
  function.setAllArgAttrs(attributes);
  return function;
}

void CalibratePass::runOnOperation() {
  ModuleOp module = getOperation();
  auto fail = [&](const Twine &why) {
    emitError(locationOf(module)) << why;
    signalPassFailure();
  };
  if (of != "loss" && of != "dense" && of != "marks")
    return fail("expected of to be loss, dense or marks, got " + of);
  func::FuncOp loss;
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (auto written = function->getAttrOfType<StringAttr>(attrs::kKind); written && written.getValue() == kind::kLoss)
      if (!loss || (function.isPublic() && !loss.isPublic()))
        loss = function;
  if (!loss)
    return fail("the model has no loss: expected a peer.train, or an entry with peer.kind = \"loss\"");
  func::FuncOp function = copy(loss);
  std::string name = loss.getName().str();
  for (Operation &op : llvm::make_early_inc_range(module.getOps()))
    if (&op != function.getOperation())
      op.erase();
  OpBuilder builder(function);
  Operation *end = function.getBody().front().getTerminator();
  if (of == "loss") {
    function.setName(name);
    function->setAttr(attrs::kKind, builder.getStringAttr(kind::kLoss));
    function.setResultAttr(0, attrs::kName, builder.getStringAttr("loss"));
    return;
  }
  function.setName("calibrate");
  SmallVector<Value> results;
  SmallVector<Attribute> resultNames;
  llvm::StringSet<> shown;
  auto show = [&](Value value, StringRef name) {
    if (!shown.insert(name).second)
      return; // a loss may be computed of a model more than once
    results.push_back(value);
    resultNames.push_back(builder.getDictionaryAttr(builder.getNamedAttr(attrs::kName, builder.getStringAttr(name))));
  };
  for (Operation &op : function.getOps()) {
    if (auto mark = op.getAttrOfType<StringAttr>("seen"); mark && of == "marks") {
      show(op.getResult(0), mark.getValue());
      op.removeAttr("seen");
    } else if (auto linear = dyn_cast<LinearOp>(op); linear && of == "dense") {
      if (std::optional<DenseLayer> layer = matchDenseLayer(linear))
        show(layer->x(), joinNames(layer->localName(), "x"));
    }
  }
  if (results.empty())
    return fail(of == "dense" ? "the model has no dense feed-forward layer" : "the loss has no marks");
  end->setOperands(results);
  eraseDeadOps(function.getBody().front(), results);
  for (ParamOp param : llvm::make_early_inc_range(function.getOps<ParamOp>()))
    if (param->use_empty())
      param.erase();
  function.setFunctionType(builder.getFunctionType(function.getArgumentTypes(), end->getOperandTypes()));
  function.setAllResultAttrs(resultNames);
}

} // namespace
