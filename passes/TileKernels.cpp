//===- TileKernels.cpp - which ops become one kernel ---------------------===//

#include "TileKernels.h"

#include "dialect/interfaces/IndexNotation.h"

#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Interfaces/TilingInterface.h"

using namespace mlir;
using namespace peer;

StringRef peer::getKernelNameOf(Operation *op) {
  if (auto graphOp = dyn_cast<GraphOpInterface>(op))
    return graphOp.getKernelName();
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (generic && linalg::isElementwise(generic))
    return "elementwise";
  return op->getName().stripDialect();
}

/// Whether an op runs as a kernel. A view is none, and an op without loops is too small to be worth a name.
static bool isKernelOp(Operation *op) {
  if (auto graphOp = dyn_cast<GraphOpInterface>(op))
    return !graphOp.isView();
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp && linalgOp.hasPureTensorSemantics() && linalgOp.getNumLoops() > 0;
}

/// A loop that an op offers for tiling: its name, its trip count if that is static, and whether its last tile may be
/// a partial one.
struct OfferedLoop {
  std::string name;
  int64_t trips;
  bool mayBePartial;
};

/// The loops of `op`, one for each that its TilingInterface has. A reduction has no name, so that no size applies to it.
static SmallVector<OfferedLoop> getOfferedLoops(Operation *op) {
  auto tileable = dyn_cast<TilingInterface>(op);
  if (!tileable)
    return {};
  SmallVector<utils::IteratorType> iterators = tileable.getLoopIteratorTypes();
  SmallVector<OfferedLoop> loops;
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op)) {
    SmallVector<int64_t> trips = linalgOp.getStaticLoopRanges();
    for (auto [number, iterator] : llvm::enumerate(iterators))
      loops.push_back(
          {iterator == utils::IteratorType::parallel ? "d" + std::to_string(number) : "", trips[number], number == 0});
    return loops;
  }
  auto graphOp = dyn_cast<GraphOpInterface>(op);
  if (!graphOp || iterators.empty())
    return {};
  IndexNotation notation = IndexNotation::of(graphOp);
  for (unsigned position : notation.tileableLoops()) {
    const IndexLoop &loop = notation.loops[position];
    int64_t size = cast<ShapedType>(op->getOperand(loop.input).getType()).getDimSize(loop.dim);
    // Constraints allow a dynamic size in a first dimension only, and a partial tile has one.
    loops.push_back({std::string(1, loop.name), ShapedType::isDynamic(size) ? size : size / loop.scale, loop.dim == 0});
  }
  return loops;
}

/// The sizes that apply to `op`'s loops; empty if none of them is cut.
static SmallVector<int64_t> getSizes(Operation *op, const TileSizes &wanted) {
  SmallVector<int64_t> sizes;
  for (const OfferedLoop &loop : getOfferedLoops(op)) {
    int64_t size = wanted.lookup(loop.name);
    bool isStatic = !ShapedType::isDynamic(loop.trips);
    if (loop.name.empty() || (isStatic && size >= loop.trips))
      size = 0;
    // The largest divisor keeps all tiles of one static size.
    if (isStatic && !loop.mayBePartial && size > 0)
      while (loop.trips % size != 0)
        --size;
    sizes.push_back(size);
  }
  return llvm::all_of(sizes, [](int64_t size) { return size == 0; }) ? SmallVector<int64_t>() : sizes;
}

/// The elementwise op's one result, if it is walked element by element without a transposition.
static bool isPlainElementwise(Operation *op) {
  if (auto graphOp = dyn_cast<GraphOpInterface>(op))
    return graphOp.isElementwise();
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp && op->getNumResults() == 1 && linalg::isElementwise(linalgOp) &&
         linalgOp.getMatchingIndexingMap(linalgOp.getDpsInitOperand(0)).isIdentity();
}

/// Whether the elementwise `producer` is used by the elementwise `consumer` only, element for element.
static bool isElementwiseChain(Operation *producer, Operation *consumer, ArrayRef<int64_t> consumerSizes) {
  if (!isPlainElementwise(producer) || !isPlainElementwise(consumer) || !producer->hasOneUse() ||
      producer->getResult(0).getType() != consumer->getResult(0).getType() || consumerSizes.empty())
    return false;
  OpOperand &use = *producer->getResult(0).use_begin();
  auto linalgOp = dyn_cast<linalg::LinalgOp>(consumer);
  if (linalgOp && (!linalgOp.isDpsInput(&use) || !linalgOp.getMatchingIndexingMap(&use).isIdentity()))
    return false;
  // Graph ops are cut along rows only.
  return !isa<GraphOpInterface>(producer) ||
         llvm::all_of(consumerSizes.drop_front(), [](int64_t size) { return size == 0; });
}

/// Sizes for the loops of a kernel's op, if the target has any, and their order.
static void chooseSizes(Kernel &kernel, Operation *op, const TileSizeModel &model) {
  std::optional<TileSizes> wanted = model(op);
  if (!wanted)
    return;
  kernel.sizes = getSizes(op, *wanted);
  for (auto [position, loop] : llvm::enumerate(getOfferedLoops(op)))
    if (!loop.name.empty() && loop.name == wanted->outermost)
      kernel.outermost = position;
}

SmallVector<Kernel> peer::planKernels(Block &block, const TileSizeModel &model) {
  WorkMeter meter(block);
  SmallVector<Kernel> kernels;
  llvm::DenseMap<Operation *, unsigned> kernelOf; // by the kernel's last op
  for (Operation &op : block) {
    if (!isKernelOp(&op))
      continue;
    Kernel kernel;
    chooseSizes(kernel, &op, model);
    for (Value operand : op.getOperands()) {
      Operation *producer = operand.getDefiningOp();
      auto found = kernelOf.find(producer);
      if (!producer || found == kernelOf.end())
        continue;
      Kernel &earlier = kernels[found->second];
      if (!isElementwiseChain(producer, &op, kernel.sizes))
        continue;
      llvm::append_range(kernel.ops, earlier.ops);
      earlier.ops.clear();
      kernelOf.erase(found);
    }
    kernel.ops.push_back(&op);
    kernelOf[&op] = kernels.size();
    kernels.push_back(std::move(kernel));
  }
  llvm::erase_if(kernels, [](const Kernel &kernel) { return kernel.ops.empty(); });
  for (Kernel &kernel : kernels) {
    SmallVector<StringRef> names = llvm::map_to_vector(kernel.ops, getKernelNameOf);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    kernel.name = llvm::join(names, "_");
    kernel.work = meter.measure(kernel.ops);
  }
  return kernels;
}

SmallVector<NamedAttribute> peer::describeTiles(Builder &builder, const Kernel &kernel) {
  SmallVector<NamedAttribute> tiles;
  if (kernel.sizes.empty())
    return tiles;
  for (auto [loop, size] : llvm::zip(getOfferedLoops(kernel.anchor()), kernel.sizes))
    if (size > 0)
      tiles.push_back(builder.getNamedAttr(loop.name, builder.getI64IntegerAttr(size)));
  return tiles;
}
