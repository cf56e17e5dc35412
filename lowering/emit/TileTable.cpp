//===- TileTable.cpp - the tile sizes that emitters ask for --------------===//

#include "TileTable.h"

#include "dialect/PeerOps.h"
#include "dialect/interfaces/IndexNotation.h"
#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;

std::optional<TileSizes> peer::tile(std::initializer_list<std::pair<StringRef, int64_t>> loops) {
  TileSizes sizes;
  for (auto [loop, size] : loops)
    sizes[loop] = size;
  return sizes;
}

/// True if the op reads and writes so little that threads would not help.
static bool isSmall(Operation *op) {
  for (Type type : llvm::concat<const Type>(op->getOperandTypes(), op->getResultTypes())) {
    auto shaped = dyn_cast<RankedTensorType>(type);
    if (shaped && (!shaped.hasStaticShape() || shaped.getNumElements() >= kSmallTensor))
      return false;
  }
  return true;
}

/// One tile is no loop: drops static loops that a single tile covers.
static void dropSingleTiles(GraphOpInterface op, TileSizes &sizes) {
  IndexNotation notation = IndexNotation::of(op);
  for (const IndexLoop &loop : notation.loops) {
    int64_t size = dimOf(op->getOperand(loop.input), loop.dim);
    StringRef name(&loop.name, 1);
    if (!ShapedType::isDynamic(size) && sizes.contains(name) && size / loop.scale <= sizes.lookup(name))
      sizes.erase(name);
  }
}

void TileTable::add(StringRef op, Sizes sizes) {
  bool isNew = entries.try_emplace(op, std::move(sizes)).second;
  (void)isNew;
  assert(isNew && "one emitter of an op says how it is tiled");
}

std::optional<TileSizes> TileTable::sizesOf(Operation *op) const {
  if (auto elementwise = dyn_cast<linalg::LinalgOp>(op)) {
    if (elementwise.getNumLoops() == 0 || isSmall(op))
      return std::nullopt;
    return tile({{"d0", elementwiseRows(elementwise)}});
  }
  auto entry = entries.find(op->getName().getStringRef());
  if (entry == entries.end())
    return std::nullopt;
  auto graph = cast<GraphOpInterface>(op);
  // A tile of a small op pays by its threads, and does not; else it is what keeps large intermediate values out of memory.
  if (isSmall(op) && !graph.hasLargeIntermediates())
    return std::nullopt;
  std::optional<TileSizes> sizes = entry->second(op);
  if (!sizes)
    return std::nullopt;
  dropSingleTiles(graph, *sizes);
  if (sizes->empty())
    return std::nullopt;
  return sizes;
}

TileSizeModel TileTable::model() const {
  return [table = *this](Operation *op) { return table.sizesOf(op); };
}
