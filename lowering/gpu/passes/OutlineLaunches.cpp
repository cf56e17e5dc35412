//===- OutlineLaunches.cpp - launches to kernels, with what is noted -----===//

#include "lowering/gpu/block/BlockBuilder.h"

#include "lowering/Passes.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Pass/PassManager.h"

namespace peer {
#define GEN_PASS_DEF_OUTLINELAUNCHES
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;

namespace {
struct OutlineLaunches : peer::impl::OutlineLaunchesBase<OutlineLaunches> {
  void runOnOperation() override;
};
} // namespace

// Upstream's outlining drops a launch's attributes. It replaces each launch where it stands, so both walks meet them in one order.
void OutlineLaunches::runOnOperation() {
  SmallVector<Attribute> blocks;
  getOperation().walk([&](gpu::LaunchOp launch) { blocks.push_back(launch->getAttr(peer::device::kBlocksAttr)); });

  OpPassManager outlining(ModuleOp::getOperationName());
  outlining.addPass(createGpuKernelOutliningPass());
  if (failed(runPipeline(outlining, getOperation())))
    return signalPassFailure();

  SymbolTableCollection symbols;
  const auto *next = blocks.begin();
  getOperation().walk([&](gpu::LaunchFuncOp launch) {
    if (Attribute noted = *next++)
      symbols.lookupSymbolIn(getOperation(), launch.getKernel())
          ->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), noted);
  });
}
