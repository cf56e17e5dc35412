//===- TileModel.cpp - tile sizes for CPUs -------------------------------===//

#include "lowering/cpu/TileModel.h"

#include "dialect/PeerOps.h"
#include "dialect/ops/Check.h"
#include "lowering/TileRules.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace peer;

/// Half of the smallest L2 cache per core of current server CPUs: what a score tile may take.
static constexpr int64_t kScoreTileBytes = 512 * 1024;

static int64_t clamp(int64_t value, int64_t low, int64_t high) { return std::max(low, std::min(value, high)); }

static std::optional<TileSizes> routeTiles(RouteOp op) {
  int64_t tokens = dimOf(op.getQuery(), 0), heads = dimOf(op.getQuery(), 1), rows = 64;
  // Else a single tile: as small as keeps its scores, halves * n f32 per token, in cache.
  if (heads == 1 && !ShapedType::isDynamic(tokens) && tokens <= rows)
    rows = clamp(kScoreTileBytes / (4 * dimOf(op.getKeys(), 1) * op.getNumKeys()), 8, rows);
  return tile({{"t", rows}, {"h", 1}});
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
  using Sizes = std::optional<TileSizes>;
  return llvm::TypeSwitch<Operation *, Sizes>(op)
      .Case<RouteOp>([&](RouteOp route) -> Sizes { return routeTiles(route); })
      .Case<GateOp, SelectOp>([&](auto) -> Sizes { return tile({{"t", 64}}); })
      .Case<ScoreOp>([&](auto) -> Sizes { return tile({{"t", 64}, {"h", 1}}); })
      .Case<SelectGradOp, ScoreQueryGradOp>([&](auto) -> Sizes { return tile({{"t", 16}, {"h", 1}}); })
      .Case<ScoreKeyGradOp>([&](ScoreKeyGradOp grad) -> Sizes { return tile({{grad.getShared() ? "p" : "h", 1}}); })
      .Case<RouteKeyGradOp>(
          [&](RouteKeyGradOp grad) -> Sizes { return grad.getShared() ? tile({{"d", 32}}) : tile({{"h", 1}}); })
      .Case<MixOp, QuantizedMixOp, MixGradOp, RouteQueryGradOp>([&](auto) -> Sizes { return tile({{"t", 16}}); })
      .Case<GateGradOp>([&](auto) -> Sizes { return tile({{"t", 64}}); })
      .Case<LinearOp>([&](LinearOp linear) { return linearTiles(linear); })
      .Case<AttentionOp, AttentionGradOp>([&](auto) -> Sizes { return tile({{"s", 1}, {"h", 1}}); })
      .Case<RotaryOp>([&](auto) -> Sizes { return tile({{"s", 1}}); })
      .Case<EmbeddingOp>([&](auto) -> Sizes { return tile({{"t", 128}}); })
      .Case<EmbeddingGradOp>([&](auto) -> Sizes { return tile({{"d", 64}}); })
      .Case<RMSNormOp, RMSNormGradOp, LayerNormOp, LayerNormGradOp, ActivationOp, ActivationGradOp>(
          [&](auto) -> Sizes { return tile({{"t", 64}}); })
      .Case<RMSNormWeightGradOp, LayerNormWeightGradOp>([&](auto) -> Sizes { return tile({{"d", 64}}); })
      .Case<BatchNormOp>([&](auto) -> Sizes { return tile({{"r", 512}}); })
      .Case<BatchStatsOp, BatchNormWeightGradOp, BatchNormGradOp>([&](auto) -> Sizes { return tile({{"c", 32}}); })
      .Case<CrossEntropyOp, CrossEntropyGradOp>([&](auto) -> Sizes { return tile({{"t", 32}}); })
      .Default([](Operation *) -> Sizes { return std::nullopt; });
}

static int64_t elementRows(linalg::LinalgOp op) { return op.getNumLoops() == 1 ? 4096 : 64; }

TileSizeModel peer::createCpuTileSizeModel() { return createTileSizeModel({graphOpTiles, elementRows}); }
