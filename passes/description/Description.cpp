//===- Description.cpp - what may stand in a model description -----------===//

#include "Description.h"

#include "DescriptionAttributes.h"
#include "DescriptionOps.h"
#include "dialect/PeerOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace peer;

bool peer::isModelOp(Operation *op) { return op->hasTrait<ModelOp>(); }

bool peer::isDescriptionOp(Operation *op) {
  // What people write has a gradient, or says why not, or needs none.
  return isa_and_nonnull<PeerDialect>(op->getDialect()) &&
         (isModelOp(op) || isa<DifferentiableOpInterface>(op) || op->hasTrait<WrittenByPeople>());
}

static LogicalResult checkSignature(func::FuncOp function) {
  std::string name = ("@" + function.getName()).str();
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    Location loc = function.isExternal() ? function.getLoc() : function.getArgument(i).getLoc();
    if (failed(checkPassedType(loc, "argument " + Twine(i) + " of " + name, type)))
      return failure();
  }
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    if (failed(checkPassedType(function.getLoc(), "result " + Twine(i) + " of " + name, type)))
      return failure();
  return success();
}

static LogicalResult checkFunction(func::FuncOp function) {
  if (failed(checkFunctionAttributes(function)) || failed(checkSignature(function)))
    return failure();
  // One that nothing calls does no harm.
  if (function.isExternal())
    return success();
  if (!function.getBody().hasOneBlock())
    return function.emitError() << "@" << function.getName()
                                << " has control flow; functions of a description are straight lines of ops";
  for (Operation &op : function.getBody().front())
    if (failed(checkDescribedOp(&op)))
      return failure();
  return success();
}

LogicalResult peer::checkDescription(ModuleOp module) {
  if (failed(checkAttributes(module)))
    return failure();
  for (Operation &op : module.getOps()) {
    if (auto function = dyn_cast<func::FuncOp>(op)) {
      if (failed(checkFunction(function)))
        return failure();
    } else if (!isDescriptionOp(&op) || !isa<SymbolOpInterface>(op)) {
      return op.emitError() << "op '" << op.getName()
                            << "' cannot stand beside the functions of a description; requests can: peer.gradient, "
                               "peer.train and peer.decode";
    } else if (failed(checkAttributes(&op))) {
      return failure();
    }
  }
  return success();
}
