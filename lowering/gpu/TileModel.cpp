//===- TileModel.cpp - tile sizes for GPUs -------------------------------===//

#include "TileModel.h"

#include "lowering/gpu/route/Route.h"

#include "dialect/PeerOps.h"
#include "dialect/ops/Check.h"
#include "lowering/TileRules.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace peer;

/// Elements of a block that goes through memory once: 16 bytes twice per thread.
static constexpr int64_t kBlockElements = 2048;
static constexpr int64_t kWarpsPerBlock = 8;
/// Longer rows of logits have a block each.
static constexpr int64_t kWarpLogits = 1024;

static int64_t clamp(int64_t value, int64_t low, int64_t high) { return std::max(low, std::min(value, high)); }

/// Rows of a tile whose rows are given to warps: one each, more where rows are so short that a block would have little to do.
static int64_t blockRows(Value matrix) {
  return clamp(kBlockElements / std::max<int64_t>(dimOf(matrix, 1), 1), kWarpsPerBlock, 64);
}

/// Score, select and gate apart: few tokens are left whole, and so are scores where their number is known. Their emitters spread
/// keys and rows over blocks.
static std::optional<TileSizes> routingTiles(Operation *op) {
  auto score = dyn_cast<ScoreOp>(op);
  if (device::isFewTokens(op->getOperand(0)) ||
      (score && device::scoreRows(score) && !ShapedType::isDynamic(dimOf(score.getQuery(), 0))))
    return std::nullopt;
  if (isa<GateOp>(op))
    return tile({{"t", 64}});
  return tile({{"t", score ? 64 : 16}, {"h", 1}});
}

/// Sizes by loop for an op of our dialect, before small loops are dropped.
static std::optional<TileSizes> graphOpTiles(Operation *op) {
  using Sizes = std::optional<TileSizes>;
  return llvm::TypeSwitch<Operation *, Sizes>(op)
      .Case<ScoreOp, SelectOp, GateOp>([&](auto) -> Sizes { return routingTiles(op); })
      .Case<SelectGradOp, ScoreQueryGradOp>([&](auto) -> Sizes { return tile({{"t", 16}, {"h", 1}}); })
      .Case<ScoreKeyGradOp>([&](auto) -> Sizes { return std::nullopt; })
      // Left whole: their emitters choose a grid by the number of tokens.
      .Case<RouteOp, MixOp, QuantizedMixOp, MixGradOp, GateGradOp, RouteQueryGradOp, RouteKeyGradOp>(
          [&](auto) -> Sizes { return std::nullopt; })
      // Left whole: their launches are chosen where the sizes are known.
      .Case<LinearOp>([&](auto) -> Sizes { return std::nullopt; })
      .Case<AttentionOp, AttentionGradOp>([&](auto attention) -> Sizes {
        if (dimOf(attention.getQuery(), 1) / attention.getHeads() <= kWidestHead)
          return std::nullopt;
        return tile({{"s", 1}, {"h", 1}});
      })
      // Left whole: sums over tokens take several launches, batch norms stay with their columns, positions with their rows.
      .Case<EmbeddingGradOp, RMSNormWeightGradOp, LayerNormWeightGradOp, BatchNormOp, BatchStatsOp,
            BatchNormWeightGradOp, BatchNormGradOp, RotaryOp>([&](auto) -> Sizes { return std::nullopt; })
      .Case<EmbeddingOp, RMSNormOp, RMSNormGradOp, LayerNormOp, LayerNormGradOp, ActivationOp, ActivationGradOp>(
          [&](auto) -> Sizes { return tile({{"t", blockRows(op->getResult(0))}}); })
      .Case<CrossEntropyOp, CrossEntropyGradOp>([&](auto row) -> Sizes {
        return tile({{"t", dimOf(row.getLogits(), 1) > kWarpLogits ? 1 : kWarpsPerBlock}});
      })
      .Default([](Operation *) -> Sizes { return std::nullopt; });
}

/// Steps of the outermost loop that make up a block's elements.
static int64_t elementRows(linalg::LinalgOp op) {
  int64_t row = 1;
  SmallVector<int64_t> loops = op.getStaticLoopRanges();
  for (int64_t trips : ArrayRef(loops).drop_front())
    row *= ShapedType::isDynamic(trips) ? 1 : std::max<int64_t>(trips, 1);
  return std::max<int64_t>(kBlockElements / row, 1);
}

TileSizeModel peer::createGpuTileSizeModel() { return createTileSizeModel({graphOpTiles, elementRows}); }

MixRegimes peer::gpuMixRegimes() {
  // 132 multiprocessors with 16 warps each, or 12 of wide rows: 2048 tokens fill them once. Blocks of four warps waste the
  // fewest registers. A token's block of eight warps leaves 64 tokens just short of one block on half of the multiprocessors,
  // each of which then reads at the rate of its own connection to L2.
  return {/*warpPerToken=*/2048, /*blockPerToken=*/64, /*tokensPerBlock=*/4, /*warpsPerBlock=*/8,
          /*warpsPerPart=*/4,    /*warps=*/2112,       /*rowsPerWarp=*/2};
}

RouteRegimes peer::gpuRouteRegimes() {
  // Three quarters of 132 multiprocessors: twice as many blocks of half the keys would not be done much sooner, and their
  // lists would have to be merged.
  return {/*blockPerTile=*/100, /*keysPerBlock=*/64};
}
