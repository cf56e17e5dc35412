//===- Tile.cpp - kernels as parallel loops over tiles -------------------===//

#include "Tile.h"
#include "Passes.h"
#include "TileKernels.h"

#include "dialect/interfaces/Tiling.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/Transforms/TilingInterfaceImpl.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_TILE
#include "passes/Passes.h.inc"
} // namespace peer

FailureOr<TileSizeModel> peer::parseTileSizeModel(StringRef text, function_ref<InFlightDiagnostic()> emitError) {
  llvm::StringMap<TileSizes> byKernel;
  SmallVector<StringRef> entries;
  text.split(entries, ';', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef entry : entries) {
    auto [kernel, sizesText] = entry.split(':');
    SmallVector<StringRef> sizes;
    sizesText.split(sizes, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
    if (kernel.trim().empty() || sizes.empty())
      return emitError() << "expected kernel:loop=size,... in tile sizes, got '" << entry << "'";
    for (StringRef sizeText : sizes) {
      auto [loop, number] = sizeText.split('=');
      int64_t size;
      if (loop.trim().empty() || number.trim().getAsInteger(10, size) || size < 1)
        return emitError() << "expected loop=size with a positive size in tile sizes, got '" << sizeText << "'";
      byKernel[kernel.trim()][loop.trim()] = size;
    }
  }
  return TileSizeModel([byKernel](Operation *op) -> std::optional<TileSizes> {
    auto found = byKernel.find(getKernelNameOf(op));
    if (found == byKernel.end())
      return std::nullopt;
    return found->second;
  });
}

namespace {

/// Brings the ops of a kernel together, so that its loop can take the place of all of them: a producer moves down to its
/// only user.
void gather(const Kernel &kernel) {
  for (Operation *op : ArrayRef(kernel.ops).drop_back())
    op->moveBefore(kernel.anchor());
}

/// A destination that is not read need not be one of the inputs: as a loop's destination it would be copied whole.
void detachDestinations(RewriterBase &rewriter, Operation *op) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp)
    return;
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  for (OpOperand &init : linalgOp.getDpsInitsMutable()) {
    if (linalgOp.payloadUsesValueFromOperand(&init) || init.get().getDefiningOp<tensor::EmptyOp>())
      continue;
    auto type = cast<RankedTensorType>(init.get().getType());
    SmallVector<Value> sizes;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (type.isDynamicDim(dim))
        sizes.push_back(rewriter.createOrFold<tensor::DimOp>(op->getLoc(), init.get(), dim));
    init.set(tensor::EmptyOp::create(rewriter, op->getLoc(), type, sizes));
  }
}

/// Erases the ops in `loop` that tiling left without users, and the kernel's ops, which the loop replaces.
void eraseReplaced(RewriterBase &rewriter, Operation *loop, const Kernel &kernel) {
  loop->walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
    if (op->use_empty() && isa<tensor::ExtractSliceOp, tensor::EmptyOp, tensor::DimOp>(op))
      rewriter.eraseOp(op);
  });
  // What is still asked for their sizes is resolved, and they are erased, at the end of the pass.
  for (Operation *op : llvm::reverse(kernel.ops))
    if (op->use_empty())
      rewriter.eraseOp(op);
}

/// Puts a kernel into a loop over tiles. Returns the loop.
FailureOr<Operation *> tileKernel(RewriterBase &rewriter, const Kernel &kernel) {
  gather(kernel);
  for (Operation *op : kernel.ops)
    detachDestinations(rewriter, op);
  llvm::SmallPtrSet<Operation *, 4> inside(kernel.ops.begin(), kernel.ops.end());
  auto control = [&](tensor::ExtractSliceOp, OpResult producer,
                     bool) -> std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> {
    if (!inside.contains(producer.getOwner()))
      return std::nullopt;
    return scf::SCFTileAndFuseOptions::ControlFnResult{/*yieldProducerReplacement=*/false};
  };
  scf::SCFTilingOptions tiling;
  tiling.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
  tiling.setTileSizes(getAsIndexOpFoldResult(rewriter.getContext(), kernel.sizes));
  if (kernel.outermost) {
    SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, kernel.sizes.size()));
    std::rotate(order.begin(), order.begin() + *kernel.outermost, order.begin() + *kernel.outermost + 1);
    tiling.setInterchange(order);
  }
  scf::SCFTileAndFuseOptions options;
  options.setTilingOptions(tiling).setFusionControlFn(control);
  rewriter.setInsertionPoint(kernel.anchor());
  FailureOr<scf::SCFTileAndFuseResult> tiled =
      scf::tileConsumerAndFuseProducersUsingSCF(rewriter, cast<TilingInterface>(kernel.anchor()), options);
  if (failed(tiled) || tiled->loops.empty())
    return kernel.anchor()->emitOpError("could not be tiled");
  for (Operation *op : ArrayRef(kernel.ops).drop_back())
    if (!tiled->fusedProducers.contains(op))
      return op->emitOpError("could not be fused into the loop of its consumer");
  Operation *loop = tiled->loops.front();
  for (auto [from, to] : tiled->replacements)
    rewriter.replaceUsesWithIf(from, to, [&](OpOperand &use) { return !loop->isAncestor(use.getOwner()); });
  eraseReplaced(rewriter, loop, kernel);
  return loop;
}

/// Resolves sizes that are still asked of ops that fusion replaced, and drops loop results nobody uses.
LogicalResult cleanUp(func::FuncOp function) {
  MLIRContext *context = function.getContext();
  RewritePatternSet patterns(context);
  memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
  scf::ForallOp::getCanonicalizationPatterns(patterns, context);
  tensor::DimOp::getCanonicalizationPatterns(patterns, context);
  tensor::ExtractSliceOp::getCanonicalizationPatterns(patterns, context);
  affine::AffineApplyOp::getCanonicalizationPatterns(patterns, context);
  affine::AffineMinOp::getCanonicalizationPatterns(patterns, context);
  return applyPatternsGreedily(function, std::move(patterns));
}

struct Tile : peer::impl::TileBase<Tile> {
  using TileBase::TileBase;
  explicit Tile(TileSizeModel model) : model(std::move(model)) {}

  void getDependentDialects(DialectRegistry &registry) const override {
    TileBase::getDependentDialects(registry);
    linalg::registerTilingInterfaceExternalModels(registry);
    registerTilingExternalModels(registry);
  }

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    if (!function.getBody().hasOneBlock()) {
      function.emitOpError("must have one block to be tiled");
      return signalPassFailure();
    }
    TileSizeModel chosen = model;
    if (!chosen || !sizes.empty()) {
      FailureOr<TileSizeModel> parsed = parseTileSizeModel(sizes, [&] { return function.emitError(); });
      if (failed(parsed))
        return signalPassFailure();
      chosen = *parsed;
    }
    Block &block = function.getBody().front();
    IRRewriter rewriter(&getContext());
    SmallVector<Kernel> kernels = planKernels(block, chosen);
    for (const Kernel &kernel : kernels) {
      Operation *top = kernel.anchor();
      Location loc = top->getLoc();
      SmallVector<NamedAttribute> tiles = describeTiles(rewriter, kernel);
      if (!kernel.sizes.empty()) {
        FailureOr<Operation *> loop = tileKernel(rewriter, kernel);
        if (failed(loop))
          return signalPassFailure();
        top = *loop;
      }
      rewriter.setInsertionPoint(top);
      auto mark =
          MarkOp::create(rewriter, loc, 0, kernel.name, kernel.work.bytes.rounded(), kernel.work.flops.rounded());
      if (!tiles.empty())
        mark->setAttr(attrs::kTiles, rewriter.getDictionaryAttr(tiles));
    }
    if (!kernels.empty()) {
      rewriter.setInsertionPoint(block.getTerminator());
      MarkOp::create(rewriter, block.getTerminator()->getLoc(), -1, "", ArrayRef<int64_t>{0, 0},
                     ArrayRef<int64_t>{0, 0});
    }
    if (failed(cleanUp(function)))
      return signalPassFailure();
    // Kernels may have moved; their numbers follow the text.
    int64_t index = 0;
    for (MarkOp mark : block.getOps<MarkOp>())
      if (mark.getIndex() != uint64_t(-1))
        mark.setIndex(index++);
  }

  TileSizeModel model;
};

} // namespace

std::unique_ptr<Pass> peer::createTilePass(TileSizeModel model) { return std::make_unique<Tile>(std::move(model)); }
