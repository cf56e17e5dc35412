//===- AddOptimizer.cpp - the training step of a loss --------------------===//

#include "TrainingStep.h"
#include "dialect/interfaces/Differentiation.h"
#include "passes/Passes.h"

#include "passes/gradient/StructuredGradient.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_ADDOPTIMIZER
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

struct AddOptimizerPass : peer::impl::AddOptimizerBase<AddOptimizerPass> {
  using AddOptimizerBase::AddOptimizerBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    AddOptimizerBase::getDependentDialects(registry);
    registerDifferentiationModels(registry);
    registerStructuredGradients(registry);
  }

  LogicalResult answer(TrainOp request) {
    ModuleOp module = getOperation();
    // The manifest has one list of groups.
    if (module->hasAttr(attrs::kGroups))
      return request.emitOpError("is the second training step of this module, which can have one");
    FailureOr<func::FuncOp> loss = findRequestedFunction(request, request.getFunctionAttr());
    if (failed(loss))
      return failure();
    FailureOr<ArrayAttr> groups = buildTrainingStep(request, *loss);
    if (failed(groups) || (accumulate && failed(buildAccumulation(request, *loss))))
      return failure();
    (*loss)->setAttr(attrs::kKind, StringAttr::get(&getContext(), kind::kLoss));
    module->setAttr(attrs::kGroups, *groups);
    request.erase();
    eraseIfUnused(*loss);
    return success();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    for (TrainOp request : llvm::make_early_inc_range(module.getOps<TrainOp>()))
      if (failed(answer(request)))
        return signalPassFailure();
    if (accumulate && !module->hasAttr(attrs::kGroups)) {
      module.emitError("has no 'peer.train', whose gradients could be accumulated");
      return signalPassFailure();
    }
  }
};

} // namespace
