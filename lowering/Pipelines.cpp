//===- Pipelines.cpp - from a description to the LLVM dialect ------------===//

#include "Pipelines.h"

#include "Passes.h"
#include "lowering/cpu/TileModel.h"
#include "lowering/gpu/route/Route.h"
#include "lowering/host/Target.h"
#include "passes/DecomposeRoutes.h"
#include "passes/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/Transforms/Passes.h"
#include "mlir/Dialect/GPU/Pipelines/Passes.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace peer {

static void verifyLevel(OpPassManager &pm, StringRef level) {
  VerifyLevelOptions options;
  options.level = level.str();
  pm.addPass(createVerifyLevel(options));
}

void buildGraphPipeline(OpPassManager &pm) {
  // Model level: names, blocks, requests for derived entries.
  pm.addPass(createInlineModules());
  pm.addPass(createDeriveDecode());
  pm.addPass(createDifferentiate());
  pm.addPass(createAddOptimizer());
  pm.addPass(createAddUsage());
  // Graph level from here on.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // A pool that does not fit its selection is a mistake of the description, and no index to guard.
  verifyLevel(pm, "graph");
  pm.addNestedPass<func::FuncOp>(createGuardIndices());
  pm.addNestedPass<func::FuncOp>(createFuse());
  pm.addPass(createCSEPass());
  verifyLevel(pm, "graph");
}

void buildTiledPipeline(OpPassManager &pm, const LoweringOptions &options) {
  // GPUs have a kernel for most routes, which divides whole ones itself.
  if (options.gpu)
    pm.addNestedPass<func::FuncOp>(createDecomposeRoutesPass(options.plainLoops ? nullptr : device::rejectRoute));
  // Graph level: upstream's elementwise ops become linalg, which tiles.
  pm.addNestedPass<func::FuncOp>(createConvertElementwiseToLinalgPass());
  pm.addNestedPass<func::FuncOp>(createLinalgElementwiseOpFusionPass());
  pm.addPass(createLowerReshape());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(options.tileSizes ? createTilePass(options.tileSizes) : createTile());
  // Tiled level from here on. Elementwise ops that meet in a tile become one.
  pm.addNestedPass<func::FuncOp>(createLinalgElementwiseOpFusionPass());
  pm.addPass(createCSEPass());
  verifyLevel(pm, "tiled");
}

/// Tiled level to one function per kernel, its op in buffer form.
static void buildBufferPipeline(OpPassManager &pm, const LoweringOptions &options) {
  // A CPU has a tile's scores in cache, and an emitter for each of the three.
  if (!options.gpu)
    pm.addNestedPass<func::FuncOp>(createDecomposeRoutes());
  pm.addNestedPass<func::FuncOp>(createToDestinations());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  // Results that were updated in place are their arguments.
  pm.addPass(createDropUpdatedResults());
  // A tile written in place ends as a copy onto itself: CSE shows that, the second round folds it.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createCanonicalizerPass());
  bufferization::buildBufferDeallocationPipeline(pm);
  // Free each buffer after its last use: peak memory is what a step needs at once.
  pm.addNestedPass<func::FuncOp>(bufferization::createOptimizeAllocationLivenessPass());
  pm.addPass(createConvertBufferizationToMemRefPass());
  // One function per kernel, one copy of equal ones: blocks of a model repeat, and so do forward passes of entries.
  pm.addPass(createOutlineKernels());
  pm.addPass(func::createDuplicateFunctionEliminationPass());
}

/// The canonicalizer for structured control flow: there are no branches between blocks yet whose simplification, half of its
/// time, could find anything.
static std::unique_ptr<Pass> createStructuredCanonicalizer() {
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return createCanonicalizerPass(config);
}

/// Kernel functions to loops and vectors.
static void buildCpuKernels(OpPassManager &pm, const LoweringOptions &options) {
  pm.addPass(createConvertLinalgToLoopsPass());
  if (options.plainLoops) {
    pm.addPass(createLowerToLoops());
  } else {
    LowerToVectorsOptions vectors;
    vectors.width = options.vectorWidth;
    pm.addPass(createLowerToVectors(vectors));
  }
}

/// Kernel functions to launches of GPU functions, entries to straight lines of launches.
static void buildGpuKernels(OpPassManager &pm, const LoweringOptions &options) {
  LaunchKernelsOptions launches;
  launches.plainLoops = options.plainLoops;
  pm.addPass(createLaunchKernels(launches));
  LowerToBlocksOptions blocks;
  blocks.plainLoops = options.plainLoops;
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
}

void buildKernelPipeline(OpPassManager &pm, const LoweringOptions &options) {
  // Tiled level: destinations, then buffers.
  buildBufferPipeline(pm, options);
  if (options.gpu)
    buildGpuKernels(pm, options);
  else
    buildCpuKernels(pm, options);
  pm.addPass(createLowerMarks());
  // Kernel level from here on.
  pm.addPass(options.gpu ? createStructuredCanonicalizer() : createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  verifyLevel(pm, "kernel");
}

static void buildGpuLLVM(OpPassManager &pm, const GpuTarget &target, bool bitcode) {
  pm.addPass(createPassAddresses());
  // Upstream would make calls of CUDA's device library out of math: none may be left.
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  kernels.addPass(createExpandMath());
  kernels.addPass(createLowerDeviceMath());
  gpu::GPUToNVVMPipelineOptions options;
  options.cubinChip = target.arch;
  options.cubinFeatures = target.features;
  options.cubinFormat = bitcode ? "llvm" : "isa";
  options.optLevel = 3;
  gpu::buildLowerToNVVMPassPipeline(pm, options);
  // LLVM dialect.
}

void buildLLVMPipeline(OpPassManager &pm, const LoweringOptions &options) {
  // Kernel level: vectors keep their math, loops get their threads.
  if (options.gpu)
    return buildGpuLLVM(pm, *options.gpu, options.deviceBitcode);
  pm.addNestedPass<func::FuncOp>(createExpandMath());
  pm.addNestedPass<func::FuncOp>(createForallToParallelLoopPass());
  pm.addPass(createConvertVectorToSCFPass());
  pm.addPass(createConvertSCFToOpenMPPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // The OpenMP conversion leaves memref.alloca_scope, which must go before control flow is flattened.
  FinalizeMemRefToLLVMConversionPassOptions memrefs;
  memrefs.useGenericFunctions = true;
  memrefs.useAlignedAlloc = true;
  pm.addPass(createFinalizeMemRefToLLVMConversionPass(memrefs));
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertOpenMPToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  // LLVM dialect.
}

void registerPipelines() {
  auto options = [] {
    LoweringOptions result;
    result.tileSizes = createCpuTileSizeModel();
    if (auto target = resolveCpuTarget(""))
      result.vectorWidth = target->vectorWidth();
    else
      llvm::consumeError(target.takeError());
    return result;
  };
  PassPipelineRegistration<>("peer-to-graph", "model level to graph level", buildGraphPipeline);
  PassPipelineRegistration<>("peer-to-tiled", "graph level to tiled level, with this machine's tile sizes",
                             [=](OpPassManager &pm) { buildTiledPipeline(pm, options()); });
  PassPipelineRegistration<>("peer-to-kernel", "tiled level to kernel level, for this machine's CPU",
                             [=](OpPassManager &pm) { buildKernelPipeline(pm, options()); });
  PassPipelineRegistration<>("peer-to-llvm", "kernel level to the LLVM dialect, for this machine's CPU",
                             [=](OpPassManager &pm) { buildLLVMPipeline(pm, options()); });
}

} // namespace peer
