//===- OutlineKernels.cpp - one function per kernel ----------------------===//

#include "Passes.h"
#include "dialect/PeerOps.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

namespace peer {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

/// Work on buffers; what has results is not bufferized, and its users stay behind.
static bool isKernel(Operation *op) {
  return op->getNumResults() == 0 && isa<scf::ForallOp, GraphOpInterface, linalg::LinalgOp>(op);
}

/// Values from outside that `op` and its regions use.
static llvm::SetVector<Value> capturedBy(Operation *op) {
  llvm::SetVector<Value> captured;
  op->walk([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (!op->isAncestor(operand.getParentBlock()->getParentOp()) || operand.getParentBlock() == op->getBlock())
        captured.insert(operand);
  });
  return captured;
}

/// Moves `op` into a private function and calls it in its place.
static void outline(Operation *op, StringRef name, SymbolTable &symbols) {
  IRMapping mapping;
  SmallVector<Value> arguments;
  SmallVector<Operation *> constants;
  for (Value value : capturedBy(op)) {
    // Constants move along, so that sizes stay known inside and tables lie where the kernel runs.
    if (matchPattern(value, m_Constant()) || value.getDefiningOp<memref::GetGlobalOp>())
      constants.push_back(value.getDefiningOp());
    else
      arguments.push_back(value);
  }
  OpBuilder b(op->getContext());
  auto type = b.getFunctionType(TypeRange(ValueRange(arguments)), {});
  auto function = func::FuncOp::create(op->getLoc(), ("kernel_" + name).str(), type);
  function.setPrivate();
  symbols.insert(function);
  Block *body = function.addEntryBlock();
  mapping.map(arguments, body->getArguments());
  b.setInsertionPointToStart(body);
  for (Operation *constant : constants)
    b.clone(*constant, mapping);
  b.clone(*op, mapping);
  func::ReturnOp::create(b, op->getLoc());
  b.setInsertionPoint(op);
  func::CallOp::create(b, op->getLoc(), function, arguments);
  op->erase();
}

/// What is copied out of or into a part of a larger buffer: neither target's copies step over what lies between.
static void makeStridedCopiesLoops(ModuleOp module) {
  module.walk([](memref::CopyOp copy) {
    auto isPart = [](Value buffer) {
      auto type = dyn_cast<MemRefType>(buffer.getType());
      return type && !type.getLayout().isIdentity();
    };
    if (!isPart(copy.getSource()) && !isPart(copy.getTarget()))
      return;
    OpBuilder b(copy);
    linalg::CopyOp::create(b, copy.getLoc(), copy.getSource(), copy.getTarget());
    copy.erase();
  });
}

namespace {
struct OutlineKernels : peer::impl::OutlineKernelsBase<OutlineKernels> {
  void runOnOperation() override {
    makeStridedCopiesLoops(getOperation());
    SymbolTable symbols(getOperation());
    for (func::FuncOp function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (function.isExternal() || function.isPrivate())
        continue;
      std::string name = "op";
      for (Operation &op : llvm::make_early_inc_range(function.front())) {
        if (auto mark = dyn_cast<MarkOp>(op))
          name = mark.getKernel().str();
        else if (isKernel(&op))
          outline(&op, name, symbols);
      }
    }
  }
};
} // namespace
