//===- ColumnSums.cpp - weight gradients of norms, batch norm ------------===//

#include "Reject.h"
#include "lowering/gpu/block/Alignment.h"
#include "lowering/gpu/block/Columns.h"

#include "lowering/nn/Emit.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// The grid over the rows of x, as wide as the op's buffers allow.
template <typename OpTy>
static ColumnGrid gridOf(OpTy op, LoopBuilder &host) {
  int64_t columns = host.staticDim(op.getX(), 1);
  return ColumnGrid(columns, alignedLanes(op, columns), host.dim(op.getX(), 0));
}

static void launchRMSNormWeightGrad(RMSNormWeightGradOp op, LoopBuilder &host) {
  ColumnGrid grid = gridOf(op, host);
  auto terms = [&](BlockBuilder &b, Value t, Value at) {
    Value v = b.load(op.getX(), {t, at}, grid.lanes);
    Value xhat = b.mul(v, b.splat(b.load(op.getRstd(), t), v.getType()));
    return Values{b.mul(b.load(op.getDy(), {t, at}, grid.lanes), xhat)};
  };
  launchColumnSums(host, grid, 1, terms,
                   [&](BlockBuilder &b, Value column, ValueRange sums) { b.store(sums[0], op.getDweight(), column); });
}

static void launchLayerNormWeightGrad(LayerNormWeightGradOp op, LoopBuilder &host) {
  ColumnGrid grid = gridOf(op, host);
  auto terms = [&](BlockBuilder &b, Value t, Value at) {
    Value v = b.load(op.getX(), {t, at}, grid.lanes), g = b.load(op.getDy(), {t, at}, grid.lanes);
    Value center = b.splat(b.load(op.getMean(), t), v.getType());
    Value rstd = b.splat(b.load(op.getRstd(), t), v.getType());
    return Values{b.mul(g, b.mul(b.sub(v, center), rstd)), g};
  };
  launchColumnSums(host, grid, 2, terms, [&](BlockBuilder &b, Value column, ValueRange sums) {
    b.store(sums[0], op.getDweight(), column);
    b.store(sums[1], op.getDbias(), column);
  });
}

static void launchColumnSumsOp(ColumnSumsOp op, LoopBuilder &host) {
  ColumnGrid grid = gridOf(op, host);
  auto terms = [&](BlockBuilder &b, Value t, Value at) { return Values{b.load(op.getX(), {t, at}, grid.lanes)}; };
  launchColumnSums(host, grid, 1, terms,
                   [&](BlockBuilder &b, Value column, ValueRange sums) { b.store(sums[0], op.getSums(), column); });
}

// rstd belongs to the column, so it multiplies the finished sum.
static void launchBatchNormWeightGrad(BatchNormWeightGradOp op, LoopBuilder &host) {
  ColumnGrid grid = gridOf(op, host);
  auto terms = [&](BlockBuilder &b, Value r, Value at) {
    Value g = b.load(op.getDy(), {r, at}, grid.lanes);
    Value d = b.sub(b.load(op.getX(), {r, at}, grid.lanes), b.load(op.getMean(), at, grid.lanes));
    return Values{b.mul(g, d), g};
  };
  launchColumnSums(host, grid, 2, terms, [&](BlockBuilder &b, Value column, ValueRange sums) {
    Value rstd = nn::emitReciprocalRoot(b, b.load(op.getVariance(), column), op.getEpsilon().convertToFloat());
    b.store(b.mul(sums[0], rstd), op.getDweight(), column);
    b.store(sums[1], op.getDbias(), column);
  });
}

//===----------------------------------------------------------------------===//
// Statistics
//===----------------------------------------------------------------------===//

namespace {
/// Mean and sum of squares about it for the columns of a tile, in two passes over its rows. Squares about zero would cancel.
struct Moments {
  BlockBuilder &b;
  const ColumnGrid &grid;
  const ColumnTile &tile;
  Value center; // shared, per column of the strip

  Moments(BlockBuilder &b, const ColumnGrid &grid, const ColumnTile &tile)
      : b(b), grid(grid), tile(tile), center(b.shared({grid.width()}, b.getF32Type())) {}

  /// mean = scale * sum of `values`, then `finish` with it and the sum of what `squares` makes of the mean.
  void emit(Value scale, ColumnTerms values,
            llvm::function_ref<Value(BlockBuilder &, Value row, Value at, Value center)> squares,
            llvm::function_ref<void(BlockBuilder &, Value column, Value mean, Value squares)> finish);
};
} // namespace

void Moments::emit(Value scale, ColumnTerms values,
                   llvm::function_ref<Value(BlockBuilder &, Value, Value, Value)> squares,
                   llvm::function_ref<void(BlockBuilder &, Value, Value, Value)> finish) {
  Value start = b.mul(tile.strip, b.index(grid.width()));
  emitColumnSums(b, grid, tile, 1, values, [&](BlockBuilder &b, Value column, ValueRange sums) {
    b.store(b.mul(sums[0], scale), center, b.sub(column, start));
  });
  b.barrier();
  Value mine = b.loadWide(center, b.sub(tile.at, start), grid.lanes);
  auto aboutMean = [&](BlockBuilder &b, Value row, Value at) { return Values{squares(b, row, at, mine)}; };
  emitColumnSums(b, grid, tile, 1, aboutMean, [&](BlockBuilder &b, Value column, ValueRange sums) {
    finish(b, column, b.load(center, b.sub(column, start)), sums[0]);
  });
}

// Each chunk's mean and squares about it, then those of all rows by the law of total variance: x is read from memory
// once (a chunk stays in the caches), and nothing cancels.
static void launchBatchStats(BatchStatsOp op, LoopBuilder &host) {
  Value x = op.getX(), means = op.getMean(), variances = op.getVariance();
  ColumnGrid grid = gridOf(op, host);
  int64_t lanes = grid.lanes;
  grid.cut(host, sumChunkRows(host, grid.rows));
  Value partial = host.heap({2, ShapedType::kDynamic, grid.columns}, host.getF32Type(), grid.chunks);
  emitLaunch(host, grid.blocks(host), kThreads, [&](BlockBuilder &b, Value block) {
    ColumnTile tile(b, grid, block);
    Value scale = b.div(b.f32(1), b.toF32(b.sub(tile.high, tile.low)));
    Moments(b, grid, tile)
        .emit(
            scale, [&](BlockBuilder &b, Value r, Value at) { return Values{b.load(x, {r, at}, lanes)}; },
            [&](BlockBuilder &b, Value r, Value at, Value center) {
              Value d = b.sub(b.load(x, {r, at}, lanes), center);
              return b.mul(d, d);
            },
            [&](BlockBuilder &b, Value column, Value mean, Value squares) {
              b.store(mean, partial, {b.index(0), tile.chunk, column});
              b.store(squares, partial, {b.index(1), tile.chunk, column});
            });
  });
  ColumnGrid total(grid.columns, lanes, grid.chunks);
  total.chunkRows = host.max(grid.chunks, host.index(1));
  total.chunks = host.index(1);
  emitLaunch(host, total.blocks(host), kThreads, [&](BlockBuilder &b, Value block) {
    ColumnTile tile(b, total, block);
    // No row: the sums are zero, and a division by at least one keeps them so.
    Value reciprocal = b.div(b.f32(1), b.max(nn::emitCount(b, grid.rows), b.f32(1)));
    auto weight = [&](BlockBuilder &b, Value chunk) {
      Value low = b.mul(chunk, grid.chunkRows);
      Value size = b.min(grid.chunkRows, b.sub(grid.rows, low));
      return b.splat(b.toF32(size), b.floats(lanes));
    };
    Moments(b, total, tile)
        .emit(
            reciprocal,
            [&](BlockBuilder &b, Value chunk, Value at) {
              return Values{b.mul(b.load(partial, {b.index(0), chunk, at}, lanes), weight(b, chunk))};
            },
            [&](BlockBuilder &b, Value chunk, Value at, Value center) {
              Value d = b.sub(b.load(partial, {b.index(0), chunk, at}, lanes), center);
              return b.fma(b.mul(d, d), weight(b, chunk), b.load(partial, {b.index(1), chunk, at}, lanes));
            },
            [&](BlockBuilder &b, Value column, Value mean, Value squares) {
              b.store(mean, means, column);
              b.store(b.mul(squares, reciprocal), variances, column);
            });
  });
  host.free(partial);
}

//===----------------------------------------------------------------------===//
// Batch norm and its dx
//===----------------------------------------------------------------------===//

/// Rows of a block where each row is read once: one per warp would leave nothing to do while the column's numbers come.
constexpr int64_t kNormRows = 64;

/// Per column, once: 1 / standard deviation times weight.
template <typename OpTy>
static Value emitScale(BlockBuilder &b, OpTy op, Value at, int64_t lanes, Value *rstdOut = nullptr) {
  Value rstd = nn::emitReciprocalRoot(b, b.load(op.getVariance(), at, lanes), op.getEpsilon().convertToFloat());
  if (rstdOut)
    *rstdOut = rstd;
  return b.mul(rstd, b.load(op.getWeight(), at, lanes));
}

static void launchBatchNorm(BatchNormOp op, LoopBuilder &host) {
  ColumnGrid grid = gridOf(op, host);
  grid.cut(host, host.index(kNormRows));
  Value x = op.getX(), y = op.getY();
  emitLaunch(host, grid.blocks(host), kThreads, [&](BlockBuilder &b, Value block) {
    ColumnTile tile(b, grid, block);
    Value scale = emitScale(b, op, tile.at, grid.lanes);
    Value center = b.load(op.getMean(), tile.at, grid.lanes), bias = b.load(op.getBias(), tile.at, grid.lanes);
    emitColumnRows(b, tile, [&](Value r) {
      Value d = b.sub(b.load(x, {r, tile.at}, grid.lanes), center);
      b.store(b.fma(d, scale, bias), y, {r, tile.at});
    });
  });
}

/// Blocks of batch_norm_grad at once: a thread keeps five numbers of each of its columns.
static constexpr int64_t kNormGradBlocks = 5;

static void launchBatchNormGrad(BatchNormGradOp op, LoopBuilder &host) {
  ColumnGrid grid = gridOf(op, host);
  grid.cut(host, host.index(kNormRows));
  int64_t lanes = grid.lanes;
  Value x = op.getX(), dy = op.getDy(), dx = op.getDx();
  emitLaunch(host, grid.blocks(host), kThreads, [&](BlockBuilder &b, Value block) {
    b.noteBlocks(kNormGradBlocks);
    ColumnTile tile(b, grid, block);
    Value at = tile.at, rstd, scale = emitScale(b, op, at, lanes, &rstd);
    if (!op.getBatchStatistics()) {
      emitColumnRows(b, tile, [&](Value r) { b.store(b.mul(b.load(dy, {r, at}, lanes), scale), dx, {r, at}); });
      return;
    }
    // dx = scale * (dy - dbias / R - (x - mean) * rstd * dweight / R).
    Value count = b.splat(nn::emitCount(b, grid.rows), scale.getType());
    Value center = b.load(op.getMean(), at, lanes);
    Value shift = b.div(b.load(op.getDbias(), at, lanes), count);
    Value slope = b.neg(b.div(b.mul(rstd, b.load(op.getDweight(), at, lanes)), count));
    emitColumnRows(b, tile, [&](Value r) {
      Value d = b.sub(b.load(x, {r, at}, lanes), center);
      Value inner = b.fma(d, slope, b.sub(b.load(dy, {r, at}, lanes), shift));
      b.store(b.mul(inner, scale), dx, {r, at});
    });
  });
}

void device::addColumns(Emitters &emitters) {
  emitters.grid<RMSNormWeightGradOp>(
      {.emit = launchRMSNormWeightGrad, .reject = rejectDynamicColumns<RMSNormWeightGradOp>});
  emitters.grid<LayerNormWeightGradOp>(
      {.emit = launchLayerNormWeightGrad, .reject = rejectDynamicColumns<LayerNormWeightGradOp>});
  emitters.grid<ColumnSumsOp>({.emit = launchColumnSumsOp, .reject = rejectDynamicColumns<ColumnSumsOp>});
  emitters.grid<BatchStatsOp>({.emit = launchBatchStats, .reject = rejectDynamicColumns<BatchStatsOp>});
  emitters.grid<BatchNormWeightGradOp>(
      {.emit = launchBatchNormWeightGrad, .reject = rejectDynamicColumns<BatchNormWeightGradOp>});
  emitters.grid<BatchNormOp>({.emit = launchBatchNorm, .reject = rejectDynamicColumns<BatchNormOp>});
  emitters.grid<BatchNormGradOp>({.emit = launchBatchNormGrad, .reject = rejectDynamicColumns<BatchNormGradOp>});
}
