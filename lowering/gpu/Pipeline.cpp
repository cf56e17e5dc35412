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

void prepareGpuTiling(OpPassManager &pm, const GpuInfo &gpu) {
  // There is a kernel for most routes, which divides whole ones itself.
  pm.addNestedPass<func::FuncOp>(
      createDecomposeRoutesPass([gpu](RouteOp route) { return device::rejectRoute(route, gpu); }));
}

/// The canonicalizer for structured control flow: there are no branches between blocks yet whose simplification, half of its
/// time, could find anything.
static std::unique_ptr<Pass> createStructuredCanonicalizer() {
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return createCanonicalizerPass(config);
}

void buildGpuKernelPipeline(OpPassManager &pm, SharedEmitters emitters) {
  pm.addPass(emitters ? createLaunchKernelsPass(emitters) : createLaunchKernels({.plainLoops = true}));
  pm.addPass(emitters ? createLowerToBlocksPass(emitters) : createLowerToBlocks({.plainLoops = true}));
  pm.addPass(createStructuredCanonicalizer());
  pm.addPass(createCSEPass());
  // Constants were hoisted out of the launches; what a kernel is passed it cannot fold.
  pm.addPass(createGpuLaunchSinkIndexComputationsPass());
  pm.addPass(createOutlineLaunches());
  pm.addPass(createMergeKernels());
  // Before blocks are inlined, which know where their kernels' numbers begin.
  pm.addPass(createLowerMarks());
  // One arena for an entry and the kernels it calls.
  pm.addPass(createInlinerPass());
  pm.addPass(createSymbolDCEPass());
  pm.addPass(createStructuredCanonicalizer());
  pm.addPass(createPlanMemory());
  pm.addPass(createFinishKernels());
  pm.addPass(createStructuredCanonicalizer());
}

} // namespace peer
