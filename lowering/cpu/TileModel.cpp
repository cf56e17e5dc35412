//===- TileModel.cpp - tile sizes for CPUs -------------------------------===//

#include "lowering/cpu/TileModel.h"

#include "dialect/Check.h"
#include "dialect/IndexNotation.h"
#include "dialect/PeerOps.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace peer;

/// Half of the smallest L2 cache per core of current server CPUs: what a score tile may take.
static constexpr int64_t kScoreTileBytes = 512 * 1024;
/// Below this many elements a loop over tiles costs more than it gains.
static constexpr int64_t kSmallTensor = 8192;

static int64_t clamp(int64_t value, int64_t low, int64_t high) { return std::max(low, std::min(value, high)); }

/// Rows of a score tile, `halves * n` f32 each.
static int64_t scoreRows(Value logits) {
  return clamp(kScoreTileBytes / (4 * dimOf(logits, 2) * dimOf(logits, 3)), 8, 64);
}

/// The logits that a gate's or select's tile has to hold, if they are computed in it.
static Value logitsBehind(Operation *op) {
  if (auto gate = dyn_cast<GateOp>(op))
    op = gate.getVal().getDefiningOp();
  if (auto select = dyn_cast_or_null<SelectOp>(op))
    return select.getLogits();
  return {};
}

static std::optional<TileSizes> linearTiles(LinearOp op) {
  TileSizes sizes;
  int64_t rows = dimOf(op.getX(), op.getTransposeX()), columns = dimOf(op.getWeight(), !op.getTransposeWeight());
  if (ShapedType::isDynamic(rows) || rows > 64) {
    // A weight gradient has few, long rows: cut for the threads, not for the cache.
    sizes["t"] = op.getTransposeX() ? 64 : 128;
    return sizes;
  }
  // A product with few rows (decoding) is bound by reading the weight: split its columns.
  if (ShapedType::isDynamic(columns) || rows * columns < kSmallTensor)
    return std::nullopt;
  sizes["j"] = 1024;
  return sizes;
}

/// Sizes by loop for an op of our dialect, before small loops are dropped.
static std::optional<TileSizes> graphOpTiles(Operation *op) {
  auto one = [](StringRef loop, int64_t size) {
    TileSizes sizes;
    sizes[loop] = size;
    return sizes;
  };
  auto tokensAndHead = [&](int64_t tokens) {
    TileSizes sizes = one("t", tokens);
    sizes["h"] = 1;
    return sizes;
  };
  auto sequenceAndHead = [&] {
    TileSizes sizes = one("s", 1);
    sizes["h"] = 1;
    return sizes;
  };
  using Sizes = std::optional<TileSizes>;
  return llvm::TypeSwitch<Operation *, Sizes>(op)
      .Case<GateOp, SelectOp>([&](auto) -> Sizes {
        Value logits = logitsBehind(op);
        return logits ? tokensAndHead(scoreRows(logits)) : one("t", 64);
      })
      .Case<ScoreOp>([&](auto) -> Sizes { return tokensAndHead(64); })
      .Case<SelectGradOp, ScoreQueryGradOp>([&](auto) -> Sizes { return tokensAndHead(16); })
      .Case<ScoreKeyGradOp>([&](ScoreKeyGradOp grad) -> Sizes { return one(grad.getShared() ? "p" : "h", 1); })
      .Case<RouteKeyGradOp>([&](RouteKeyGradOp grad) -> Sizes { return grad.getShared() ? one("d", 32) : one("h", 1); })
      .Case<MixOp, QuantizedMixOp, MixGradOp, RouteQueryGradOp>([&](auto) -> Sizes { return one("t", 16); })
      .Case<GateGradOp>([&](auto) -> Sizes { return one("t", 64); })
      .Case<LinearOp>([&](LinearOp linear) { return linearTiles(linear); })
      .Case<AttentionOp, AttentionGradOp>([&](auto) -> Sizes { return sequenceAndHead(); })
      .Case<RotaryOp>([&](auto) -> Sizes { return one("s", 1); })
      .Case<EmbeddingOp>([&](auto) -> Sizes { return one("t", 128); })
      .Case<EmbeddingGradOp>([&](auto) -> Sizes { return one("d", 64); })
      .Case<RMSNormOp, RMSNormGradOp, LayerNormOp, LayerNormGradOp, ActivationOp, ActivationGradOp>(
          [&](auto) -> Sizes { return one("t", 64); })
      .Case<RMSNormWeightGradOp, LayerNormWeightGradOp>([&](auto) -> Sizes { return one("d", 64); })
      .Case<BatchNormOp>([&](auto) -> Sizes { return one("r", 512); })
      .Case<BatchStatsOp, BatchNormWeightGradOp, BatchNormGradOp>([&](auto) -> Sizes { return one("c", 32); })
      .Case<CrossEntropyOp, CrossEntropyGradOp>([&](auto) -> Sizes { return one("t", 32); })
      .Default([](Operation *) -> Sizes { return std::nullopt; });
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

TileSizeModel peer::createCpuTileSizeModel() {
  return [](Operation *op) -> std::optional<TileSizes> {
    // Scores are tiled whatever their size: the tile is what keeps them out of memory.
    if (isSmall(op) && !logitsBehind(op))
      return std::nullopt;
    if (auto generic = dyn_cast<linalg::LinalgOp>(op)) {
      if (generic.getNumLoops() == 0)
        return std::nullopt;
      TileSizes sizes;
      sizes["d0"] = generic.getNumLoops() == 1 ? 4096 : 64;
      return sizes;
    }
    auto graph = dyn_cast<GraphOpInterface>(op);
    std::optional<TileSizes> sizes = graph ? graphOpTiles(op) : std::nullopt;
    if (!sizes)
      return std::nullopt;
    // One tile is no loop: drop static loops that a single tile covers.
    IndexNotation notation = IndexNotation::of(graph);
    for (const IndexLoop &loop : notation.loops) {
      int64_t size = dimOf(graph->getOperand(loop.input), loop.dim);
      StringRef name(&loop.name, 1);
      if (!ShapedType::isDynamic(size) && sizes->contains(name) && size / loop.scale <= sizes->lookup(name))
        sizes->erase(name);
    }
    if (sizes->empty())
      return std::nullopt;
    return sizes;
  };
}
