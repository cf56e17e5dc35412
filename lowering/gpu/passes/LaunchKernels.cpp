//===- LaunchKernels.cpp - each kernel's loop over tiles to a grid -------===//
//
// A kernel function holds one op: a loop over tiles, or an op that was left whole. Whole ops that have a
// grid emitter choose their launches themselves. Any other becomes one launch: a block per tile, one block for a whole op.
//
//===----------------------------------------------------------------------===//

#include "lowering/gpu/Pipeline.h"
#include "lowering/gpu/block/DeviceOp.h"

#include "lowering/Passes.h"
#include "lowering/blocks/Blocks.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/RegionUtils.h"

namespace peer {
#define GEN_PASS_DEF_LAUNCHKERNELS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// Whether a function holds one kernel; others call kernels.
static bool isKernel(func::FuncOp function) { return function.isPrivate() && !isSharedBlock(function); }

/// Work on a tile: what must see all of what the op before it wrote.
static bool isWork(Operation *op) {
  return op->getNumResults() == 0 && isa<GraphOpInterface, linalg::LinalgOp, memref::CopyOp>(op);
}

/// The most bytes that a local buffer of a tile can take.
static FailureOr<int64_t> boundBytes(memref::AllocOp alloc) {
  MemRefType type = alloc.getType();
  int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  for (int64_t i = 0; i < type.getRank(); ++i) {
    auto bound = ValueBoundsConstraintSet::computeConstantBound(
        presburger::BoundType::UB, ValueBoundsConstraintSet::Variable(alloc.getResult(), i),
        /*stopCondition=*/nullptr, /*closedUB=*/true);
    if (failed(bound))
      return alloc.emitError("a tile's local buffer has no constant bound in dimension ") << i;
    bytes *= *bound;
  }
  return bytes;
}

/// Copies a tile's ops into a launch, with a barrier before all work but the first.
static void cloneTile(BlockBuilder &b, Block &body, IRMapping &mapping,
                      llvm::function_ref<Value(memref::AllocOp)> scratchOf) {
  bool first = true;
  for (Operation &op : body.without_terminator()) {
    if (isa<memref::DeallocOp>(op))
      continue;
    if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
      mapping.map(alloc.getResult(), scratchOf(alloc));
      continue;
    }
    if (isWork(&op) && !std::exchange(first, false))
      b.barrier();
    b.clone(op, mapping);
  }
}

namespace {
/// The tiles of a loop, numbered in one grid dimension: the others are limited to 65535.
class Tiles {
public:
  Tiles(scf::ForallOp loop, LoopBuilder &host);

  Value count() const { return all; }
  /// Maps the loop's variables to what they are for the tile of this number.
  void map(BlockBuilder &b, Value number, IRMapping &mapping);

private:
  scf::ForallOp loop;
  SmallVector<Value> counts, lows, steps;
  Value all;
};
} // namespace

Tiles::Tiles(scf::ForallOp loop, LoopBuilder &host) : loop(loop) {
  for (auto [low, high, step] : llvm::zip(loop.getMixedLowerBound(), loop.getMixedUpperBound(), loop.getMixedStep())) {
    auto value = [&](OpFoldResult v) { return getValueOrCreateConstantIndexOp(host, host.getLoc(), v); };
    lows.push_back(value(low));
    steps.push_back(value(step));
    AffineExpr d0, d1, d2;
    bindDims(host.getContext(), d0, d1, d2);
    OpFoldResult count =
        affine::makeComposedFoldedAffineApply(host, host.getLoc(), (d1 - d0).ceilDiv(d2), {low, high, step});
    counts.push_back(value(count));
    all = all ? host.mul(all, counts.back()) : counts.back();
  }
}

void Tiles::map(BlockBuilder &b, Value number, IRMapping &mapping) {
  Value rest = number;
  for (size_t i = counts.size(); i-- > 0;) {
    Value tile = i == 0 ? rest : b.rem(rest, counts[i]);
    mapping.map(loop.getInductionVar(i), b.add(lows[i], b.mul(tile, steps[i])));
    if (i > 0)
      rest = b.div(rest, counts[i]);
  }
}

/// A block per tile.
static LogicalResult launchTiles(scf::ForallOp loop, LoopBuilder &host) {
  Tiles tiles(loop, host);
  llvm::MapVector<Operation *, Scratch> scratch;
  for (auto alloc : loop.getBody()->getOps<memref::AllocOp>()) {
    FailureOr<int64_t> bytes = boundBytes(alloc);
    if (failed(bytes))
      return failure();
    scratch[alloc] = Scratch::allocate(host, tiles.count(), *bytes);
  }
  emitLaunch(host, tiles.count(), kThreads, [&](BlockBuilder &b, Value block) {
    IRMapping mapping;
    tiles.map(b, block, mapping);
    cloneTile(b, *loop.getBody(), mapping, [&](memref::AllocOp alloc) {
      auto sizes = llvm::map_to_vector(alloc.getDynamicSizes(), [&](Value v) { return mapping.lookupOrDefault(v); });
      return scratch.lookup(alloc).of(b, block, alloc.getType(), sizes);
    });
  });
  for (auto &[alloc, part] : scratch)
    host.free(part.buffer);
  return success();
}

static void launchWhole(Operation *op, LoopBuilder &host) {
  emitLaunch(host, host.index(1), kThreads, [&](BlockBuilder &b, Value) { b.clone(*op); });
}

/// Constants of the host are read on the device: each launch gets its own.
static void sinkConstants(gpu::LaunchOp launch) {
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(launch.getBody(), launch.getBody(), captured);
  OpBuilder b = OpBuilder::atBlockBegin(&launch.getBody().front());
  for (Value value : captured)
    if (auto global = value.getDefiningOp<memref::GetGlobalOp>())
      replaceAllUsesInRegionWith(value, b.clone(*global)->getResult(0), launch.getBody());
}

/// Names a function's launches, `number` of which have this name already; all kernels share one module.
static void nameLaunches(func::FuncOp function, StringRef stem, int64_t &number) {
  function.walk([&](gpu::LaunchOp launch) {
    launch.setModuleAttr(FlatSymbolRefAttr::get(function.getContext(), "kernels"));
    std::string name = stem.str();
    if (number > 0)
      name += "_part" + std::to_string(number);
    ++number;
    launch.setFunctionAttr(FlatSymbolRefAttr::get(function.getContext(), name));
    sinkConstants(launch);
  });
}

/// Whether a buffer is a constant's, which the host has and the device has not.
static bool isConstant(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>())
    buffer = view.getViewSource();
  return buffer.getDefiningOp<memref::GetGlobalOp>() != nullptr;
}

/// Copies between buffers of an entry stay on the device; constants that are results come out of kernels.
static void launchCopies(func::FuncOp entry) {
  SmallVector<memref::CopyOp> copies;
  entry.walk([&](memref::CopyOp copy) { copies.push_back(copy); });
  for (memref::CopyOp copy : copies) {
    OpBuilder at(copy);
    LoopBuilder host(at, copy.getLoc());
    if (isConstant(copy.getSource())) {
      launchWhole(copy, host);
      copy.erase();
      continue;
    }
    emitAndWait(host, [&](Type token, Value start) {
      return gpu::MemcpyOp::create(host, token, start, copy.getTarget(), copy.getSource());
    });
    copy.erase();
  }
}

/// Host code of whole ops knows addresses of buffers on the device: constants among them are copied there by a kernel.
static void copyConstants(Operation *op) {
  OpBuilder at(op);
  LoopBuilder host(at, op->getLoc());
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type || !isConstant(operand.get()))
      continue;
    host.setInsertionPoint(op);
    Value copied = host.heap(type.getShape(), type.getElementType());
    auto copy = memref::CopyOp::create(host, operand.get(), copied);
    launchWhole(copy, host);
    copy.erase();
    operand.set(copied);
    host.setInsertionPointAfter(op);
    host.free(copied);
  }
}

namespace {
struct LaunchKernels : peer::impl::LaunchKernelsBase<LaunchKernels> {
  using LaunchKernelsBase::LaunchKernelsBase;
  explicit LaunchKernels(SharedEmitters emitters) : emitters(std::move(emitters)) {}

  void runOnOperation() override {
    SmallVector<Operation *> whole;
    int64_t constants = 0;
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      if (!isKernel(function)) {
        launchCopies(function);
        nameLaunches(function, "constant", constants);
      }
      for (auto op : function.getOps<GraphOpInterface>())
        whole.push_back(op);
    }
    RewritePatternSet patterns(&getContext());
    if (!plainLoops) {
      llvm::for_each(whole, copyConstants);
      (emitters ? *emitters : Emitters(GpuInfo())).populateGrids(patterns);
    }
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingOps);
    if (failed(applyOpPatternsGreedily(whole, std::move(patterns), config)))
      return signalPassFailure();
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal() || !isKernel(function))
        continue;
      for (Operation &op : llvm::make_early_inc_range(function.front())) {
        bool tiles = isa<scf::ForallOp>(op);
        if (!tiles && !isWork(&op))
          continue;
        OpBuilder at(&op);
        LoopBuilder host(at, op.getLoc());
        if (!tiles)
          launchWhole(&op, host);
        else if (failed(launchTiles(cast<scf::ForallOp>(op), host)))
          return signalPassFailure();
        op.erase();
      }
      int64_t parts = 0;
      nameLaunches(function, function.getName().substr(StringRef("kernel_").size()), parts);
    }
  }

  SharedEmitters emitters;
};
} // namespace

std::unique_ptr<Pass> peer::createLaunchKernelsPass(SharedEmitters emitters) {
  return std::make_unique<LaunchKernels>(std::move(emitters));
}
