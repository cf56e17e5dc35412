//===- TileRules.cpp - what the tile models of all targets share ---------===//

#include "TileRules.h"

#include "dialect/PeerOps.h"
#include "dialect/interfaces/IndexNotation.h"
#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;

TileSizes peer::tile(std::initializer_list<std::pair<StringRef, int64_t>> loops) {
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

TileSizeModel peer::createTileSizeModel(TileRules rules) {
  return [rules](Operation *op) -> std::optional<TileSizes> {
    auto graph = dyn_cast<GraphOpInterface>(op);
    // The tile is what keeps large intermediate values out of memory.
    if (isSmall(op) && !(graph && graph.hasLargeIntermediates()))
      return std::nullopt;
    if (auto generic = dyn_cast<linalg::LinalgOp>(op)) {
      if (generic.getNumLoops() == 0)
        return std::nullopt;
      return tile({{"d0", rules.elementwise(generic)}});
    }
    std::optional<TileSizes> sizes = graph ? rules.graphOp(op) : std::nullopt;
    if (!sizes)
      return std::nullopt;
    dropSingleTiles(graph, *sizes);
    if (sizes->empty())
      return std::nullopt;
    return sizes;
  };
}
