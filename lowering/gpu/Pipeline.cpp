//===- Pipeline.cpp - kernel functions to launches -----------------------===//

#include "Pipeline.h"

#include "lowering/Passes.h"
#include "lowering/gpu/route/Route.h"
#include "passes/DecomposeRoutes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace peer {

void prepareGpuTiling(OpPassManager &pm, bool plainLoops) {
  // There is a kernel for most routes, which divides whole ones itself.
  pm.addNestedPass<func::FuncOp>(createDecomposeRoutesPass(plainLoops ? nullptr : device::rejectRoute));
}

/// The canonicalizer for structured control flow: there are no branches between blocks yet whose simplification, half of its
/// time, could find anything.
static std::unique_ptr<Pass> createStructuredCanonicalizer() {
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return createCanonicalizerPass(config);
}

void buildGpuKernelPipeline(OpPassManager &pm, bool plainLoops) {
  LaunchKernelsOptions launches;
  launches.plainLoops = plainLoops;
  pm.addPass(createLaunchKernels(launches));
  LowerToBlocksOptions blocks;
  blocks.plainLoops = plainLoops;
  pm.addPass(createLowerToBlocks(blocks));
  pm.addPass(createStructuredCanonicalizer());
  pm.addPass(createCSEPass());
  // Constants were hoisted out of the launches; what a kernel is passed it cannot fold.
  pm.addPass(createGpuLaunchSinkIndexComputationsPass());
  pm.addPass(createGpuKernelOutliningPass());
  pm.addPass(createMergeKernels());
  // One arena for an entry and the kernels it calls.
  pm.addPass(createInlinerPass());
  pm.addPass(createSymbolDCEPass());
  pm.addPass(createStructuredCanonicalizer());
  pm.addPass(createPlanMemory());
  pm.addPass(createFinishKernels());
  pm.addPass(createLowerMarks());
  pm.addPass(createStructuredCanonicalizer());
}

} // namespace peer
