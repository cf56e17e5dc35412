//===- Pipelines.cpp - from a description to the LLVM dialect ------------===//

#include "Pipelines.h"

#include "Passes.h"
#include "blocks/Blocks.h"
#include "passes/DisableTopExperts.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace peer {

static void verifyLevel(OpPassManager &pm, StringRef level) {
  VerifyLevelOptions options;
  options.level = level.str();
  pm.addPass(createVerifyLevel(options));
}

void buildGraphPipeline(OpPassManager &pm, const GraphOptions &options) {
  // Model level: names, blocks, requests for derived entries.
  if (options.isDescription)
    verifyLevel(pm, "model");
  pm.addPass(createInlineModules());
  // One rule differentiates all structured ops.
  pm.addNestedPass<func::FuncOp>(createLinalgGeneralizeNamedOpsPass());
  pm.addPass(createDeriveUpdates());
  pm.addPass(createDeriveDecode());
  pm.addPass(createDifferentiate());
  AddOptimizerOptions optimizer;
  optimizer.accumulate = options.accumulate;
  pm.addPass(createAddOptimizer(optimizer));
  pm.addPass(createAddUsage());
  if (options.disabledExperts > 0) {
    DisableTopExpertsOptions disable;
    disable.count = options.disabledExperts;
    pm.addPass(createDisableTopExperts(disable));
  }
  // Graph level from here on.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // A pool that does not fit its selection is a mistake of the description, and no index to guard.
  verifyLevel(pm, "graph");
  pm.addNestedPass<func::FuncOp>(createGuardIndices());
  pm.addNestedPass<func::FuncOp>(createFuse());
  pm.addNestedPass<func::FuncOp>(createExpandTensorOps());
  pm.addPass(createCSEPass());
  verifyLevel(pm, "graph");
}

void buildTiledPipeline(OpPassManager &pm, const Target &target) {
  target.prepareTiling(pm);
  // Graph level: upstream's elementwise ops become linalg, which tiles.
  pm.addNestedPass<func::FuncOp>(createConvertElementwiseToLinalgPass());
  pm.addNestedPass<func::FuncOp>(createFuseElementwise());
  pm.addNestedPass<func::FuncOp>(createSaturateConversions());
  pm.addPass(createLowerReshape());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createFillConstants());
  pm.addNestedPass<func::FuncOp>(createTilePass(target.tileSizes()));
  // Tiled level from here on. Elementwise ops that meet in a tile become one.
  pm.addNestedPass<func::FuncOp>(createFuseElementwise());
  pm.addPass(createCSEPass());
  verifyLevel(pm, "tiled");
}

void buildBufferPipeline(OpPassManager &pm, const Target &target, bool separateBlocks) {
  // From here on what repeats is one function. Entries were described before, with a kernel for each block.
  if (!separateBlocks)
    pm.addPass(createOutlineBlocks());
  target.prepareBuffers(pm);
  pm.addNestedPass<func::FuncOp>(createToDestinations());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  // Results that were updated in place are their arguments: those of shared blocks first, which entries pass on.
  pm.addPass(bufferization::createDropEquivalentBufferResultsPass());
  pm.addPass(createDropUpdatedResults());
  // A tile written in place ends as a copy onto itself: CSE shows that, the second round folds it.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createCanonicalizerPass());
  // Peak memory is what a step needs at once.
  pm.addPass(createFreeBuffers());
  // One function per kernel, one copy of equal ones: blocks of a model repeat, and so do forward passes of entries.
  pm.addPass(createOutlineKernels());
  pm.addPass(func::createDuplicateFunctionEliminationPass());
}

void buildKernelPipeline(OpPassManager &pm, const Target &target) {
  target.buildKernelPipeline(pm);
  // Kernel level from here on.
  pm.addPass(createCSEPass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  verifyLevel(pm, "kernel");
}

void registerPipelines() {
  auto target = [] { return llvm::cantFail(createTarget("cpu")); };
  PassPipelineRegistration<>("peer-to-graph", "model level to graph level",
                             [](OpPassManager &pm) { buildGraphPipeline(pm, {}); });
  PassPipelineRegistration<>("peer-to-tiled", "graph level to tiled level, with this machine's tile sizes",
                             [=](OpPassManager &pm) { buildTiledPipeline(pm, *target()); });
  PassPipelineRegistration<>("peer-to-kernel", "tiled level to kernel level, for this machine's CPU",
                             [=](OpPassManager &pm) {
                               auto cpu = target();
                               buildBufferPipeline(pm, *cpu);
                               buildKernelPipeline(pm, *cpu);
                             });
  PassPipelineRegistration<>("peer-to-llvm", "kernel level to the LLVM dialect, for this machine's CPU",
                             [=](OpPassManager &pm) { target()->buildLLVMPipeline(pm); });
}

} // namespace peer
