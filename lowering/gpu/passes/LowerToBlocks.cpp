//===- LowerToBlocks.cpp - ops inside launches to the code of a block ----===//

#include "lowering/gpu/Pipeline.h"

#include "lowering/Passes.h"
#include "lowering/emit/Emitters.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace peer {
#define GEN_PASS_DEF_LOWERTOBLOCKS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// Moves an op into code that one thread of its block executes.
static void moveToOneThread(Operation *op) {
  OpBuilder at(op);
  BlockBuilder b(at, op->getLoc(), op->getParentOfType<gpu::LaunchOp>());
  b.onOneThread([&] { op->moveBefore(b.getInsertionBlock(), b.getInsertionPoint()); });
}

/// Kernels have no heap: what plain loops allocate becomes each block's part of a buffer of the host.
static void hoistAllocation(memref::AllocOp alloc) {
  auto launch = alloc->getParentOfType<gpu::LaunchOp>();
  MemRefType type = alloc.getType();
  OpBuilder outside(launch);
  LoopBuilder host(outside, alloc.getLoc());
  Scratch scratch = Scratch::allocate(host, launch.getGridSizeX(),
                                      type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8));
  outside.setInsertionPointAfter(launch);
  LoopBuilder(outside, alloc.getLoc()).free(scratch.buffer);
  OpBuilder inside(alloc);
  LoopBuilder b(inside, alloc.getLoc());
  Value part = scratch.of(b, launch.getBlockIds().x, type);
  for (Operation *user : llvm::make_early_inc_range(alloc->getUsers()))
    if (isa<memref::DeallocOp>(user))
      user->erase();
  alloc.replaceAllUsesWith(part);
  alloc.erase();
}

namespace {
struct LowerToBlocks : peer::impl::LowerToBlocksBase<LowerToBlocks> {
  using LowerToBlocksBase::LowerToBlocksBase;
  explicit LowerToBlocks(SharedEmitters emitters) : emitters(std::move(emitters)) {}

  LogicalResult apply(RewritePatternSet patterns) {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<GraphOpInterface, linalg::LinalgOp, memref::CopyOp>(op) && op->getParentOfType<gpu::LaunchOp>())
        ops.push_back(op);
    });
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingOps);
    return applyOpPatternsGreedily(ops, std::move(patterns), config);
  }

  void runOnOperation() override {
    RewritePatternSet blocks(&getContext());
    if (plainLoops)
      populateElementwisePatterns(blocks);
    else
      (emitters ? *emitters : Emitters(GpuInfo())).populateBlocks(blocks);
    if (failed(apply(std::move(blocks))))
      return signalPassFailure();
    // What no emitter takes is done by one thread, in plain loops.
    getOperation().walk([&](GraphOpInterface op) {
      if (op->getParentOfType<gpu::LaunchOp>())
        moveToOneThread(op);
    });
    RewritePatternSet loops(&getContext());
    getLoopEmitters().populateLoops(loops);
    if (failed(apply(std::move(loops))))
      return signalPassFailure();
    getOperation().walk([&](memref::AllocOp alloc) {
      if (alloc->getParentOfType<gpu::LaunchOp>() && alloc.getType().hasStaticShape())
        hoistAllocation(alloc);
    });
    getOperation().walk([&](Operation *op) {
      bool alloc = isa<memref::AllocOp>(op) && op->getParentOfType<gpu::LaunchOp>();
      if (alloc || isa<GraphOpInterface, linalg::LinalgOp, memref::CopyOp>(op)) {
        op->emitOpError("could not be lowered to a kernel");
        signalPassFailure();
      }
    });
  }

  SharedEmitters emitters;
};
} // namespace

std::unique_ptr<Pass> peer::createLowerToBlocksPass(SharedEmitters emitters) {
  return std::make_unique<LowerToBlocks>(std::move(emitters));
}
